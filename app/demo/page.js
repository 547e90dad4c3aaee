// Keeps what is chosen on the page in its URL; see state.py. It writes after a pause, because browsers
// allow a page only so many changes of its URL, and not before what the URL said at first was shown.
(() => {
  const wanted = new Map();
  let restored = false;
  let timer = 0;

  const write = () => {
    clearTimeout(timer);
    const query = new URLSearchParams(location.search);
    for (const [name, text] of wanted) {
      if (text === null) query.delete(name);
      else query.set(name, text);
    }
    wanted.clear();
    const shown = query.toString();
    history.replaceState(history.state, "", location.pathname + (shown ? `?${shown}` : ""));
  };

  window.mixzooKeep = (name, value, initial) => {
    if (!restored) return;
    const text = value === null || value === undefined ? "" : String(value);
    wanted.set(name, text === "" || text === initial ? null : text);
    clearTimeout(timer);
    timer = setTimeout(write, 150);
  };

  window.mixzooRestored = () => {
    restored = true;
  };

  const mixzoo = (window.mixzoo = {});

  mixzoo.copyLink = async () => {
    write();
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      prompt("The link to this mix:", location.href); // without https, or where it isn't allowed
    }
  };

  // Saves a picture that the page shows under the name that the server gave it. file: Gradio's.
  mixzoo.save = async (file) => {
    if (!file || !file.url) return;
    const content = await (await fetch(file.url)).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = file.path.split(/[\\/]/).pop();
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  mixzoo.theme = () => (document.body.classList.contains("dark") ? "dark" : "light");

  // The strips of mixes over lam: what is picked among them, and the one that is shown.
  mixzoo.strips = (element, trigger) =>
    element.addEventListener("change", (event) => {
      const [method, lam] = event.target.value.split(" ");
      mixzoo.picked = [method, Number(lam)];
      trigger("select");
    });

  mixzoo.mark = (method, lam) => {
    for (const one of document.querySelectorAll("#mix-strips input")) {
      const [of, at] = one.value.split(" ");
      one.checked = of === method && Math.abs(at - lam) < 0.005;
    }
  };

  // The stage: the mask's opacity, and an animation over lam above the mix. It takes single steps
  // where less motion is wanted.
  let filmTimer = 0;
  let play = null;

  mixzoo.look = (element, trigger) => {
    play = element.querySelector("button");
    const mask = element.querySelector("input");
    mask.addEventListener("input", () =>
      document.getElementById("mix-stage").style.setProperty("--mask", mask.value),
    );
    play.addEventListener("click", () => {
      const plays = filmTimer;
      halt();
      trigger(plays ? "pause" : "play");
    });
  };

  const halt = () => {
    clearInterval(filmTimer);
    filmTimer = 0;
    play.textContent = "\u25b6 Play";
    play.setAttribute("aria-label", "Play all lams");
  };

  mixzoo.stop = () => {
    if (play) halt();
    document.getElementById("mix-film")?.remove();
  };

  mixzoo.play = ({ lams, image }) => {
    mixzoo.stop();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const film = document.createElement("div");
    film.id = "mix-film";
    film.style.backgroundImage = `url(${image})`;
    film.style.backgroundSize = `${100 * lams.length}% 100%`;
    const words = film.appendChild(document.createElement("span"));
    document.getElementById("mix-mixed").after(film);
    const frames = lams.map((_, n) => n).filter((n) => !still || n % 5 === 0);
    const loop = [...frames, ...frames.slice(1, -1).reverse()];
    let at = 0;
    const step = () => {
      const n = loop[at++ % loop.length];
      mixzoo.lam = lams[n];
      film.style.backgroundPosition = `${(100 * n) / (lams.length - 1)}% 0`;
      words.textContent = `lam ${lams[n].toFixed(2)}`;
    };
    step();
    filmTimer = setInterval(step, still ? 1500 : 120);
    play.textContent = "\u275a\u275a Pause";
    play.setAttribute("aria-label", "Pause at this lam");
  };
})();

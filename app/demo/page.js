// Keeps what is chosen on the page in its URL; see state.py. It writes after a pause, because browsers
// allow a page only so many changes of its URL, and not before what the URL said at first was shown.
(() => {
  const wanted = new Map();
  let restored = false;
  let timer = 0;

  const write = () => {
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

  // Saves a picture that the page shows under a name that says what it is: the server's file is
  // called image.png. file: Gradio's {url}.
  window.mixzooSave = async (file, name) => {
    if (!file || !file.url) return;
    const content = await (await fetch(file.url)).blob();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };

  window.mixzooTheme = () => (document.body.classList.contains("dark") ? "dark" : "light");
})();

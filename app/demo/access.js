// What Gradio's components leave out for people who use a keyboard or a screen reader. It is done again
// whenever the page changes, since components come and go.
(() => {
  let groups = 0;

  const tidy = () => {
    // Gradio names each radio button apart, so that arrows don't move in their group
    for (const group of document.querySelectorAll("fieldset:has(input[type=radio])")) {
      const buttons = [...group.querySelectorAll("input[type=radio]")];
      if (new Set(buttons.map((one) => one.name)).size === 1) continue;
      group.dataset.radios ||= `mixzoo-group-${++groups}`;
      const chosen = buttons.find((one) => one.checked);
      for (const one of buttons) one.name = group.dataset.radios;
      if (chosen) chosen.checked = true;
    }
    // buttons that do nothing when pressed
    for (const one of document.querySelectorAll("button.confidence-set, button:has(> .image-frame)"))
      one.tabIndex = -1;
    for (const one of document.querySelectorAll("button.thumbnail-item:has(.caption-label)"))
      one.setAttribute("aria-label", one.querySelector(".caption-label").textContent);
    // pictures of slots: what the slot is called, and the file
    for (const one of document.querySelectorAll(".block img:is([alt=''], :not([alt]))")) {
      const label = one.closest(".block").querySelector("[data-testid=block-label]");
      const file = new URL(one.src, location.href).pathname.split("/").pop();
      if (label) one.alt = `${label.textContent.trim()}: ${decodeURIComponent(file)}`;
    }
  };

  let waiting = 0;
  const later = () => {
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      tidy();
    });
  };
  new MutationObserver(later).observe(document, { childList: true, subtree: true });
})();

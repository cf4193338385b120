/* Sets the theme before the first paint. A plain script, not a module: modules run after the page is drawn.
   The choice ("light", "dark" or "system") and the text size live in localStorage; a blocked storage means "system". */
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;

  function stored(key) {
    try {
      return JSON.parse(localStorage.getItem(key));
    } catch {
      return null;
    }
  }

  function apply() {
    const choice = root.dataset.themeChoice || stored("kefu.theme") || "system";
    const isDark = choice === "dark" || (choice === "system" && dark.matches);
    root.dataset.theme = isDark ? "dark" : "light";
    const size = Number(stored("kefu.fontSize"));
    if (size >= 12 && size <= 18) root.style.setProperty("--font-size", size);
  }

  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("kefu:theme", apply);
})();

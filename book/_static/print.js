// Paper is white: a page in dark colours is printed in light ones, and goes back to its own.
(() => {
  const page = document.documentElement.dataset;
  let theme;
  addEventListener("beforeprint", () => { theme = page.theme; page.theme = "light"; });
  addEventListener("afterprint", () => { page.theme = theme; });
})();

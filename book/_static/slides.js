/* Begin the show: set formulas, make text that does not fit smaller, then start reveal.js. */
(async () => {
  await window.MathJax.startup.promise;
  await document.fonts.ready;
  for (const section of document.querySelectorAll(".slides > section")) {
    const body = section.querySelector(".body");
    for (const formula of body.querySelectorAll("div.math")) shrink(formula, 60, () => wide(formula));
    shrink(body, 40, () => [section, body].some(box => wide(box) || box.scrollHeight > box.clientHeight + 1));
  }
  document.querySelector(".reveal").classList.add("fitted");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0.03, center: false, display: "flex", hash: true, slideNumber: "c/t",
    transition: "none", pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, plugins: [RevealNotes],
  });

  function wide(box) { return box.scrollWidth > box.clientWidth + 1; }

  function shrink(box, least, overflows) {
    for (let size = 100; size > least && overflows(); size -= 4) box.style.fontSize = `${size}%`;
  }
})();

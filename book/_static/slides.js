/* Begin the show: set formulas, make text that does not fit smaller, then start reveal.js. */
(async () => {
  await window.MathJax.startup.promise;
  await document.fonts.ready;
  for (const section of document.querySelectorAll(".slides > section")) {
    const body = section.querySelector(".body");
    for (let size = 100; size > 40 && overflows(section, body); size -= 4) body.style.fontSize = `${size}%`;
  }
  document.querySelector(".reveal").classList.add("fitted");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0.03, center: false, display: "flex", hash: true, slideNumber: "c/t",
    transition: "none", pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1, plugins: [RevealNotes],
  });

  function overflows(section, body) {
    return [section, body].some(box => box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1);
  }
})();

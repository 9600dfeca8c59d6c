// The order of what a search finds: guides first, then other pages to read, then the reference, then decision records.
var Scorer = {
  score: (result) => {
    const [page, , , , score] = result;
    if (page.startsWith("guides/")) return score + 20;
    if (page.startsWith("decisions/")) return score - 20;
    return page.startsWith("reference/") ? score : score + 15;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};

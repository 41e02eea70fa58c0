// The parts of the status page that are always the same.
#pragma once

#include <string_view>

namespace imgcachefs {

// Colours: text on its ground has a contrast of 7 and more, marks of 3 and more (WCAG 2.1).
inline constexpr std::string_view kStatusStyle = R"(
:root { color-scheme: light dark; --ground: #fff; --panel: #f4f5f7; --text: #16191d;
  --faint: #4a525c; --line: #d5d9df; --done: #1f6feb; --rest: #dde1e7; --lower: #1a7f4b;
  --upper: #c25a00; --good: #136b3b; --bad: #a5161f; --link: #0a4db5 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0f1216; --panel: #191e25; --text: #eceff3; --faint: #b3bcc7; --line: #343c47;
    --done: #5b9dff; --rest: #2b333d; --lower: #3fbf7f; --upper: #f0923b; --good: #63d69b;
    --bad: #ff9a94; --link: #8fbcff }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.5rem; max-width: 64rem; background: var(--ground);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif }
h1 { margin: 0; font-size: 1.5rem }
h2 { margin: 0 0 .75rem; font-size: 1.1rem }
h3.chart { margin: .75rem 0 0; font-size: .95rem; font-weight: normal }
header p { margin: .25rem 0 1.5rem; color: var(--faint); overflow-wrap: anywhere }
main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(28rem, 100%), 1fr)) }
section { padding: 1rem 1.25rem; background: var(--panel); border: 1px solid var(--line);
  border-radius: .5rem; min-width: 0 }
section.wide { grid-column: 1 / -1 }
p { margin: .5rem 0 }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { padding-bottom: .25rem; color: var(--faint); text-align: left; font-size: .9rem }
th, td { padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line); text-align: left;
  vertical-align: top; font-weight: normal; overflow-wrap: anywhere }
table + table caption { padding-top: 1rem }
thead th { border-top: 0; color: var(--faint); font-size: .9rem }
td.number, th.number { padding-right: 1.5rem; text-align: right; white-space: nowrap }
td:last-child, th:last-child { padding-right: 0 }
td.progress { width: 35%; min-width: 8rem }
svg { display: block; width: 100% }
svg.bar { height: .9rem; margin: .3rem 0; border-radius: .25rem }
svg.columns { height: 6rem; margin: .3rem 0 }
.done { fill: var(--done) } .rest { fill: var(--rest) } .ground { fill: var(--rest); opacity: .5 }
.lower { fill: var(--lower) } .upper { fill: var(--upper) } .amount { fill: var(--done) }
.key { display: inline-block; width: .8em; height: .8em; margin-right: .35em; border-radius: .15em }
.key.lower { background: var(--lower) } .key.upper { background: var(--upper) }
.faint { color: var(--faint) } .good { color: var(--good) } .bad { color: var(--bad) }
.scroll { overflow-x: auto }
a { color: var(--link) }
footer { margin-top: 1.5rem; color: var(--faint) }
#late { display: none; color: var(--bad) } .late #late { display: inline }
)";

inline constexpr std::string_view kStatusScript = R"(
'use strict';
setInterval(async () => {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.pathname, { cache: 'no-store' });
    if (!answer.ok) throw new Error(answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    document.querySelector('main').replaceWith(page.querySelector('main'));
    document.body.classList.remove('late');
  } catch {
    document.body.classList.add('late');
  }
}, 5000);
)";

}  // namespace imgcachefs

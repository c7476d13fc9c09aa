/**
 * The page behind a join link, for people who open it in a browser: what the run is, where it stands, and the one command that joins it. Nothing on it
 * comes from elsewhere; the script only asks this gateway's /info and fills in what changes. Everything that others chose is escaped.
 */
import { utf8 } from "../base/bytes.ts";
import { sha256 } from "../base/hash.ts";

/** What the page tells about a run, beside what its addresses tell. */
export interface RunCard {
  readonly name: string;
  /** Params of the model. */
  readonly params: number;
  readonly rounds: number;
}

/** Where a run stands. */
export interface RunProgress {
  readonly block: number;
  /** The round under way; before the start 0. */
  readonly round: number;
  /** Hotkeys registered. */
  readonly peers: number;
}

/** What the page is made of. */
export interface PageParts {
  readonly card: RunCard;
  readonly specHash: string;
  readonly netuid: number;
  readonly runId: number;
  readonly faucet: boolean;
  /** The join link as far as the server knows; the script puts the address in its place that the browser shows. */
  readonly link: string;
  readonly progress: RunProgress | null;
}

/** How this project's pages look. A page says besides how wide it is, and how its own parts look. */
export const BASE_STYLE = `
:root{color-scheme:light dark;--back:#fbfaf7;--ink:#1d1c1a;--soft:#6a665f;--line:#e2ded6;--card:#fff;--mark:#0b6e5b}
@media(prefers-color-scheme:dark){:root{--back:#141513;--ink:#ecebe6;--soft:#a09c93;--line:#2e302c;--card:#1c1e1b;--mark:#5fd0b5}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{margin:0 auto}
h1{font-size:2rem;line-height:1.2;margin:.25rem 0 1rem;overflow-wrap:anywhere}
h2{font-size:1rem;margin:2.5rem 0 .5rem}
p{margin:.5rem 0}
.over{color:var(--mark);font-weight:600;letter-spacing:.04em}
.soft{color:var(--soft)}
dt{color:var(--soft)}
dd{margin:0}
pre{padding:.9rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:.6rem;white-space:pre-wrap;overflow-wrap:anywhere;font:.85rem/1.5 ui-monospace,monospace}
`;

const STYLE = `${BASE_STYLE}main{max-width:44rem;padding:4rem 1.25rem}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1px;margin:2rem 0;background:var(--line);border:1px solid var(--line);border-radius:.6rem;overflow:hidden}
dl div{background:var(--card);padding:.9rem 1rem}
dt{font-size:.8rem}
dd{font-size:1.25rem;white-space:nowrap;font-variant-numeric:tabular-nums}
.bar{height:.4rem;border-radius:.2rem;background:var(--line);overflow:hidden}
.bar i{display:block;height:100%;background:var(--mark)}
.line{display:flex;gap:.5rem;align-items:stretch}
pre{flex:1;min-width:0;margin:0}
button{padding:0 1rem;border:1px solid var(--line);border-radius:.6rem;background:var(--card);color:var(--ink);font:inherit;cursor:pointer}
button:hover{border-color:var(--mark)}
code{font:.85rem ui-monospace,monospace;overflow-wrap:anywhere}
a{color:var(--mark)}
`;

const SCRIPT = `
const at=id=>document.getElementById(id);
const link=location.origin+location.pathname.replace(/\\/+$/,"");
at("command").textContent="npx skein join "+link;
at("copy").hidden=!navigator.clipboard;
at("copy").onclick=()=>navigator.clipboard.writeText(at("command").textContent).then(()=>{at("copy").textContent="Copied"});
const number=n=>Number(n).toLocaleString("en");
async function look(){
  try{
    const {progress,rounds}=await (await fetch(link.replace(/\\/r\\/[0-9a-f]{64}$/,"/info"))).json();
    if(progress){
      at("round").textContent=number(progress.round)+" / "+number(rounds);
      at("peers").textContent=number(progress.peers);
      at("block").textContent=number(progress.block);
      at("bar").style.width=Math.min(100,100*progress.round/Math.max(1,rounds))+"%";
    }
    at("away").hidden=true;
  }catch{at("away").hidden=false}
  setTimeout(look,5000);
}
look();
`;

/** Content-Security-Policy under which the page runs: its own script and style by their hashes, this gateway, nothing else. */
export const PAGE_POLICY: string = [
  "default-src 'none'",
  `script-src 'sha256-${base64(sha256(utf8(SCRIPT)))}'`,
  `style-src 'sha256-${base64(sha256(utf8(STYLE)))}'`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** `text` with everything that HTML gives a meaning taken for itself. */
export function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** A count for people: 807k, 1.24M, 72B. */
export function shortCount(count: number): string {
  const units = ["", "k", "M", "B", "T"];
  let scale = 0;
  while (count >= 999.5 && scale < units.length - 1) {
    count /= 1000;
    scale++;
  }
  const digits = scale === 0 || count >= 100 ? 0 : count >= 10 ? 1 : 2;
  return `${count.toFixed(digits).replace(/\.0+$|(\.\d)0$/, "$1")}${units[scale]}`;
}

/** What stands in the frame that every page has. `style` and `after` are not escaped, and `main` is HTML already. */
export interface PageFrame {
  readonly title: string;
  readonly style: string;
  readonly main: string;
  readonly after?: string;
}

/** A page of HTML. */
export function htmlPage({ title, style, main, after = "" }: PageFrame): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escaped(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${main}
</main>
${after}</body>
</html>
`;
}

/** The page. */
export function runPage({ card, specHash, netuid, runId, faucet, link, progress }: PageParts): string {
  const fact = (id: string, name: string, value: string): string =>
    `<div><dt>${name}</dt><dd id="${id}">${escaped(value)}</dd></div>`;
  const shown = (value: number | undefined): string => (value === undefined ? "…" : value.toLocaleString("en"));
  const coins = faucet
    ? "Joining costs nothing: this gateway gives newcomers the coins to register."
    : "To register you need some coins of the run's chain; the command says how many.";
  const main = `<p class="over">Skein run</p>
<h1>${escaped(card.name)}</h1>
<p>A language model that many people train together, each on a computer of their own. Yours can join.</p>
<dl>
${fact("params", "params", shortCount(card.params))}
${fact("round", "round", `${shown(progress?.round)} / ${shown(card.rounds)}`)}
${fact("peers", "registered", shown(progress?.peers))}
${fact("block", "block", shown(progress?.block))}
</dl>
<div class="bar"><i id="bar"></i></div>
<p class="soft" id="away" hidden>The gateway does not answer at the moment; what you see is old.</p>
<h2>Join</h2>
<div class="line"><pre id="command">npx skein join ${escaped(link)}</pre><button id="copy" type="button" hidden>Copy</button></div>
<p class="soft">It needs Node 20.19 or later. ${coins} Stop it with Ctrl-C whenever you like; it goes on where it was.</p>
<h2>Check</h2>
<p>The run is its hash: <code>${escaped(specHash)}</code>. It is registered on chain as run ${runId} of subnet ${netuid}; the command refuses any other.</p>
<p><a href="../store/run.json">What the hash stands for</a> · <a href="../info">Where its chain is</a></p>`;
  return htmlPage({ title: `${card.name} · Skein`, style: STYLE, main, after: `<script>${SCRIPT}</script>\n` });
}

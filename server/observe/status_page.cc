#include "server/observe/status_page.h"

namespace advisor::server {
namespace {

constexpr char kPage[] = R"html(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Placement advisor</title>
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --good: #1a7f37; --bad: #c0352b; }
@media (prefers-color-scheme: dark) { :root { --good: #4ac26b; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.25rem; margin: 0; }
h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .35rem; }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline; }
.soft { opacity: .7; }
.card { border: 1px solid var(--line); border-radius: .6rem; padding: 1rem; margin-top: 1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .6rem; }
.tile { background: var(--soft); border-radius: .4rem; padding: .5rem .7rem; }
.tile b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.tag { border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; margin-left: .4rem;
  font-size: .8rem; font-weight: normal; }
.good { color: var(--good); } .bad { color: var(--bad); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
td.wide { white-space: normal; min-width: 16rem; }
th { font-weight: 600; font-size: .8rem; opacity: .75; }
#error:empty { display: none; }
#error { border: 1px solid var(--bad); border-radius: .4rem; padding: .5rem .8rem; margin-top: 1rem; }
</style>
</head>
<body>
<header><h1>Placement advisor</h1><span id="daemon" class="soft"></span></header>
<div id="error" role="alert"></div>
<main id="deployments"></main>
<script>
'use strict';
const el = (tag, attributes, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children.map(c => c instanceof Node ? c : String(c)));
  return node;
};
const count = n => n.toLocaleString('en');
const percent = x => x === null ? '–' : (100 * x).toFixed(1) + ' %';
const position = p => p === null ? 'none' : p.epoch + '/' + p.revision;
const bytes = n => {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let i = 0;
  for (; n >= 1000 && i + 1 < units.length; ++i) n /= 1000;
  return n.toFixed(i === 0 ? 0 : 1) + ' ' + units[i];
};
const age = s => s < 90 ? Math.round(s) + ' s' : s < 5400 ? Math.round(s / 60) + ' min'
  : s < 172800 ? Math.round(s / 3600) + ' h' : Math.round(s / 86400) + ' days';
const domainName = name => name === '' ? '(unlabelled)' : name;
const words = name => name.replaceAll('_', ' ');
const tile = (name, value, kind) =>
  el('div', {class: 'tile'}, name, el('b', {class: kind || ''}, value));

function table(title, heads, rows) {
  if (rows.length === 0) return '';
  return el('section', {}, el('h3', {}, title), el('div', {class: 'scroll'}, el('table', {},
    el('thead', {}, el('tr', {}, ...heads.map(h => el('th', {scope: 'col'}, h)))),
    el('tbody', {}, ...rows.map(row => el('tr', {}, ...row.map(cell =>
      cell instanceof Node ? cell : el('td', {}, cell))))))));
}
const wide = text => el('td', {class: 'wide'}, text);
const flagged = (text, bad) => el('td', {class: bad ? 'bad' : ''}, text);
const saving = d => d.baseline_internode_bytes > 0
  ? percent(1 - d.internode_bytes / d.baseline_internode_bytes) : '–';
const kindOf = x => x === null ? '' : x > 0 ? 'good' : 'bad';

const step = (ms, use) => ms === null ? '–' : `${ms.toPrecision(3)} ms, ${percent(use)}`;
const modelled = m => m === null ? '–' : wide(step(m.moe_ms_per_step, m.gpu_utilisation) +
  ` (linear: ${step(m.baseline_moe_ms_per_step, m.baseline_gpu_utilisation)})`);

function deployment(d) {
  const tags = [d.mode, ...(d.frozen ? ['frozen'] : []), ...(d.solving ? ['solving'] : [])];
  const last = d.decisions[0];
  return el('section', {class: 'card'},
    el('h2', {}, d.deployment, ...tags.map(t => el('span', {class: 'tag'}, t))),
    el('div', {class: 'soft'}, `${d.model} on ${d.nodes} nodes, ${d.gpus} GPUs`),
    el('p', {}, last ? `Last decision, ${age(last.age_s)} ago: ${words(last.reason)}. ${last.detail}`
      : 'No decision yet.'),
    el('div', {class: 'tiles'},
      tile('Saving measured', percent(d.measured_saving), kindOf(d.measured_saving)),
      tile('Saving predicted', percent(d.predicted_saving)),
      tile('Published', position(d.position)),
      tile('In force', position(d.in_force)),
      tile('Coverage', percent(d.coverage), d.coverage < 0.9 ? 'bad' : ''),
      tile('Window', count(d.window_tokens) + ' tokens')),
    table('Domains', ['Domain', 'Window tokens', 'Saved', 'Sent between nodes', 'Drift',
      'Prefill/decode correlation'],
      d.domains.map(x => [domainName(x.domain), count(x.window_tokens),
        saving(x), bytes(x.internode_bytes), x.drift.toFixed(3),
        x.prefill_decode_correlation === null ? '–' : x.prefill_decode_correlation.toFixed(2)])),
    table('Plans', ['Position', 'Why', 'Predicted', 'Modelled MoE time and GPU use of a step',
      'Slots moved', 'Bytes moved', 'Published', ''],
      d.plans.map(p => [position(p.position), wide(words(p.reason) + '. ' + p.detail),
        percent(p.predicted_saving), modelled(p.modelled), count(p.moved_slots), bytes(p.moved_bytes),
        p.published_unix_ms > 0 ? new Date(p.published_unix_ms).toLocaleString() : '–',
        p.quarantined ? 'quarantined' : p.committed ? 'committed' : ''])),
    table('Decisions', ['Ago', 'Reason', 'Detail', 'Plan'],
      d.decisions.slice(0, 12).map(x => [age(x.age_s), words(x.reason), wide(x.detail),
        x.position === null ? '' : position(x.position)])),
    table('Reporters', ['Reporter', 'Node', 'State', 'Runs', 'Tokens', 'Steps', 'Lost steps',
      'Rejected blocks', 'Left out of'],
      d.reporters.map(r => [r.reporter_id, r.node, flagged(r.state, r.state !== 'live'),
        r.applied === null ? 'initial' : position(r.applied), count(r.tokens), count(r.steps),
        flagged(count(r.lost_steps), r.lost_steps > 0),
        flagged(count(r.rejected_blocks), r.rejected_blocks > 0),
        flagged(r.left_out.map(x => `${domainName(x.domain)} (${x.distance.toFixed(2)})`).join(', '),
          r.left_out.length > 0)])),
    table('Subscribers', ['Subscriber', 'Role', 'Node', 'Connected', 'Knows', 'Phase', 'Refusal'],
      d.subscribers.map(s => [s.subscriber_id, s.role, s.node,
        flagged(s.connected ? 'yes' : 'no', !s.connected), position(s.known),
        s.phase === null ? '–' : words(s.phase),
        wide(s.nack === null ? '' : words(s.nack) + ': ' + s.nack_message)])));
}

async function refresh() {
  const error = document.getElementById('error');
  try {
    const answer = await fetch('api/v1/status');
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const s = await answer.json();
    document.getElementById('daemon').textContent = `version ${s.version}, epoch ${s.epoch}, up ` +
      age(s.uptime_s) + (s.draining ? ', stopping' : '');
    document.getElementById('deployments').replaceChildren(...s.deployments.map(deployment));
    error.textContent = '';
  } catch (e) {
    error.textContent = 'The daemon does not answer: ' + e.message + '. Shown is what was last known.';
  }
  setTimeout(refresh, 2000);
}
refresh();
</script>
</body>
</html>
)html";

}  // namespace

const std::string& StatusPage() {
  static const std::string page = kPage;
  return page;
}

}  // namespace advisor::server

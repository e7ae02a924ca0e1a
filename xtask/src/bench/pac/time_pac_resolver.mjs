// Times pac-resolver: node time_pac_resolver.mjs FOLDER SCRIPT CALLS HOST...
//
// FOLDER is where npm installed it. Prints
// {"load": microseconds, "call": microseconds, "answers": [...]}.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const LOADS = 9;
const ROUNDS = 15;

const [folder, script, calls, ...hosts] = process.argv.slice(2);
const require = createRequire(pathToFileURL(`${folder}/package.json`));
const { createPacResolver } = await import(pathToFileURL(require.resolve('pac-resolver')));
const { QuickJS } = await import(pathToFileURL(require.resolve('quickjs-wasi')));
const text = readFileSync(script, 'utf8');
const targets = hosts.map((host) => [`http://${host}/index.html`, host]);
const median = (figures) => figures.sort((a, b) => a - b)[figures.length >> 1];

async function load() {
  return createPacResolver(await QuickJS.create(), text);
}

const loads = [];
for (let round = 0; round < LOADS; round++) {
  const began = performance.now();
  const find = await load();
  await find(...targets[0]);
  loads.push(performance.now() - began);
}
const find = await load();
const answers = [];
for (const target of targets) answers.push(await find(...target));
const rounds = [];
for (let round = 0; round < ROUNDS; round++) {
  const began = performance.now();
  for (let call = 0; call < Number(calls); call++) await find(...targets[call % targets.length]);
  rounds.push((performance.now() - began) / Number(calls));
}
console.log(JSON.stringify({ load: median(loads) * 1e3, call: median(rounds) * 1e3, answers }));

import { json } from 'node:stream/consumers';

import { report } from './report.js';

// run plays the scenario that the command line names, with JSON of what it needs from standard input.
export async function run(scenarios) {
  // Never as long as this. A promise that nothing settles would end the process without a word.
  setTimeout(() => {
    report('gave up');
    process.exit(1);
  }, 60_000);
  await scenarios[process.argv[2]](await json(process.stdin));
  report('the end');
  process.exit(0);
}

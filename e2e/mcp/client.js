// Clients for the end-to-end tests. They report on standard output, one line for each event. Most are agents: they know
// the address of an MCP server and nothing else. They report what was requested and answered, what the user was asked
// for, and what the scenario saw. Those in strict.js read documents and challenges, as strictly as the standards allow.
//
//   node client.js <scenario>, with JSON of what the scenario needs on standard input

import { json } from 'node:stream/consumers';

import * as scenarios from './scenarios.js';
import * as strict from './strict.js';
import { report } from './report.js';

// Never as long as this. A promise that nothing settles would end the process without a word.
setTimeout(() => {
  report('gave up');
  process.exit(1);
}, 60_000);
await { ...scenarios, ...strict }[process.argv[2]](await json(process.stdin));
report('the end');
process.exit(0);

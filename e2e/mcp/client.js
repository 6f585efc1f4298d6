// A client that knows the address of an MCP server and nothing else, for the end-to-end tests: the client of the MCP
// SDK over streamable HTTP. It does what its scenario says and reports on standard output, one line for each event:
// what was requested and answered, what the user was asked for, and what the scenario saw.
//
//   node client.js <scenario> <JSON with what the scenario needs>

import * as scenarios from './scenarios.js';
import { report } from './report.js';

const [name, needs] = process.argv.slice(2);
// Never as long as this. A promise that nothing settles would end the process without a word.
setTimeout(() => {
  report('gave up');
  process.exit(1);
}, 60_000);
await scenarios[name](JSON.parse(needs));
report('the end');
process.exit(0);

// Clients for the end-to-end tests. They report on standard output, one line for each event. Most are agents: they know
// the address of an MCP server and nothing else. They report what was requested and answered, what the user was asked
// for, and what the scenario saw. Those in strict.js read documents and challenges, as strictly as the standards allow.
//
//   node client.js <scenario>, with JSON of what the scenario needs on standard input

import * as scenarios from './scenarios.js';
import * as strict from './strict.js';
import { run } from './run.js';

await run({ ...scenarios, ...strict });

// OAuth clients for the end-to-end tests of token_issuer. They report on standard output, one line for each event.
//
//   node client.js speaks, with JSON of what it needs on standard input

import { run } from '../mcp/run.js';
import { speaks } from './speaks.js';

await run({ speaks });

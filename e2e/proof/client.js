// Clients for the end-to-end tests whose tokens are bound to a key (RFC 9449) or to a certificate (RFC 8705). They report
// on standard output, one line for each event.
//
//   node client.js <scenario>, with JSON of what the scenario needs on standard input

import { run } from '../mcp/run.js';
import { bound } from './dpop.js';
import { certificates } from './certificates.js';
import { wayIn } from './flow.js';

await run({ bound, certificates, wayIn });

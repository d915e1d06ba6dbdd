import { API } from '../test/support.ts';
import { newRegistry, serveWorkloads } from '../test/workload.ts';

// A Workload API in a process of its own, so that its CPU time can be told from its clients'. It makes a new key and a new
// SVID for each answer, which a node would not: the dearest it can be.

const registry = await newRegistry();
registry.state.entries = [{ spiffeId: API }];
const { endpoint, close } = await serveWorkloads(registry);
console.log(endpoint);
process.stdin.resume().once('end', () => void close());

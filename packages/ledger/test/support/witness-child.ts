import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { nodeDisk, openWitness, witnessHandler } from '@countersign/ledger';
import { witnessKeys } from './cosigned.ts';
import { ORIGIN, verifier } from './sample-log.ts';

// A witness in a process of its own, to be killed: prints its URL.
const [, , folder = '', name = '', byte = ''] = process.argv;
const witness = await openWitness({
  disk: nodeDisk(folder),
  keys: witnessKeys(name, Number(byte)),
  logs: [{ origin: ORIGIN, verifiers: [verifier] }],
  now: Date.now,
});
const server = createServer(witnessHandler({ witness }));
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

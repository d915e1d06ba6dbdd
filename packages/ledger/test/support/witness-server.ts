import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CosignerKey,
  createWitnessFolder,
  openWitness,
  type Witness,
  type WitnessAnswer,
  witnessHandler,
} from '@countersign/ledger';
import { ORIGIN, verifier } from './sample-log.ts';
import { WitnessMemoryDisk } from './witness-disk.ts';

/** A real witness on loopback. */
export interface WitnessServer {
  readonly url: string;
  readonly keys: readonly CosignerKey[];
  readonly witness: Witness;
  readonly answers: WitnessAnswer[];
  close(): Promise<void>;
}

/** Starts a witness of the sample log; its disk is in memory. */
export async function startWitness(
  keys: readonly CosignerKey[],
  options: { readonly now: () => number },
): Promise<WitnessServer> {
  const disk = new WitnessMemoryDisk();
  await createWitnessFolder(disk, keys);
  const logs = [{ origin: ORIGIN, verifiers: [verifier] }];
  const witness = await openWitness({ disk, keys, logs, ...options });
  const answers: WitnessAnswer[] = [];
  const onAnswer = (answer: WitnessAnswer) => void answers.push(answer);
  const server = createServer(witnessHandler({ witness, onAnswer }));
  const url = await listen(server);
  return {
    ...{ url, keys, witness, answers },
    async close() {
      await stop(server);
      await witness.close();
    },
  };
}

/** Listens on a free port of loopback. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Ends a server and its connections. */
export function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

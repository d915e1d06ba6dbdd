import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createWorkloadClient } from '@countersign/spiffe';
import { expect, test } from 'vitest';
import { API } from '../support.ts';
import { newRegistry, serveWorkloads } from '../workload.ts';

// A stream is open for months. One that kept a promise of each push did so for gigabytes on a node of 500 workloads.

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

test('a stream keeps nothing of 12,000 pushes, on neither side', async () => {
  const registry = await newRegistry();
  registry.state.entries = [{ spiffeId: API }];
  const api = await serveWorkloads(registry);
  const client = createWorkloadClient({ endpoint: api.endpoint, random: Math.random });
  const stop = new AbortController();
  let updates = 0;
  const watching = client.watchX509Bundles({
    signal: stop.signal,
    onUpdate: () => {
      updates += 1;
    },
  });
  const push = async (count: number): Promise<number> => {
    const until = updates + count;
    while (updates < until) {
      registry.change(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
    }
    gc();
    return process.memoryUsage().heapUsed;
  };
  await push(3000);
  const before = await push(1000);
  const grown = (await push(12_000)) - before;
  // 740 bytes a push were 8.9 MB.
  expect(grown).toBeLessThan(2_000_000);
  stop.abort();
  await watching;
  client.close();
  await api.close();
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

/** An authority and the gateway `edge`, each as by its own command, in this process; both serve metrics. */
export async function startAuthorityAndEdge(
  options: {
    readonly edgeNow?: () => number;
    /** Changes what `init` wrote. */
    readonly edit?: (bank: string) => Promise<void>;
    /** Makes what the gateway finds in its data folder. */
    readonly beforeEdge?: (edgeData: string) => Promise<void>;
  } = {},
) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const [data, edgeData] = [join(folder.path, 'data'), join(folder.path, 'edge')];
  await countersign(['init', bank]);
  const [control, issuer, edge, metrics, edgeMetrics] = await Promise.all(
    Array.from({ length: 5 }, freePort),
  );
  const config = join(bank, 'countersign.yaml');
  const text = (await readFile(config, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace('8443', `${edge}`)
    .replace(
      /^authority:\n/m,
      `authority:
  metrics: 127.0.0.1:${metrics}
  exports: [{ name: archive, kind: files, folder: ../files }]
`,
    );
  await writeFile(config, text);
  await options.edit?.(bank);
  const stop = new AbortController();
  let stopEdge = new AbortController();
  const authority = await started(['authority', '-C', bank, '-d', data], { stop: stop.signal });
  const { out } = await countersign([...['join-token', 'workload/countersign/edge', '-d', data]]);
  const token = join(folder.path, 'token');
  await writeFile(token, out);
  const startEdge = () =>
    started(
      [
        ...['gateway', 'edge', '-d', edgeData, '--trust', join(data, 'trust.json')],
        ...['--join-token-file', token, '--metrics', `127.0.0.1:${edgeMetrics}`],
      ],
      { stop: stopEdge.signal, ...(options.edgeNow && { now: options.edgeNow }) },
    );
  await options.beforeEdge?.(edgeData);
  let gateway = await startEdge();
  return {
    folder: folder.path,
    edgePort: Number(edge),
    issuerUrl: `https://127.0.0.1:${issuer}`,
    data,
    edgeData,
    metricsUrl: `http://127.0.0.1:${metrics}/metrics`,
    edgeMetricsUrl: `http://127.0.0.1:${edgeMetrics}/metrics`,
    /** Stops the gateway, does something to its folder, and starts it again. */
    async restartEdge(meanwhile: () => Promise<void>): Promise<void> {
      stopEdge.abort();
      await gateway.ended;
      await meanwhile();
      stopEdge = new AbortController();
      gateway = await startEdge();
    },
    async [Symbol.asyncDispose]() {
      stopEdge.abort();
      await gateway.ended;
      stop.abort();
      await authority.ended;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when the process is ready; its end is in the object, which no `await` unpacks. */
async function started(
  words: readonly string[],
  options: { readonly stop: AbortSignal; readonly now?: () => number },
): Promise<{ readonly ended: Promise<Ran> }> {
  let running: Promise<Ran> | undefined;
  await new Promise<void>((resolve, reject) => {
    running = countersign(words, {
      ...options,
      onOut(text) {
        if (text.includes('"ready":true')) resolve();
      },
    });
    void running.then(({ err }) => reject(new Error(err)));
  });
  return { ended: running as Promise<Ran> };
}

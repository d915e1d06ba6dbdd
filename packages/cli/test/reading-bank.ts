import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '@countersign/test-support/free-port';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

/** Who may read in this bank, until a test says otherwise. */
const READERS = `record:
  readers:
    - { id: workload/audit-desk, may: [read] }
    - { id: workload/archive, may: [read, resolve] }
`;

/** A bank whose authority runs, with two readers and a workload that is none, each on a machine of its own. */
export async function readingBank(options: { readonly svidTtl?: string } = {}) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  await countersign(['init', bank]);
  const [control, issuer] = await Promise.all([freePort(), freePort()]);
  const file = join(bank, 'countersign.yaml');
  const config = (await readFile(file, 'utf8'))
    .replace('7401', `${control}`)
    .replaceAll('7402', `${issuer}`)
    .replace('svidTtl: 1h', `svidTtl: ${options.svidTtl ?? '1h'}`);
  await writeFile(file, `${config}\n${READERS}`);
  await writeFile(
    join(bank, 'identities/readers.yaml'),
    ['audit-desk', 'archive', 'teller']
      .map((name) => `- id: workload/${name}\n  owner: internal audit\n`)
      .join(''),
  );
  const stop = new AbortController();
  const ready = Promise.withResolvers<string>();
  const ran = countersign(['authority', '-C', bank, '-d', data], {
    stop: stop.signal,
    onOut: ready.resolve,
  });
  void ran.then(({ err }) => ready.reject(new Error(err)));
  await ready.promise;
  const url = `https://127.0.0.1:${control}`;
  /** What a machine has that is not the authority's: `trust.json` and, after the first command, an SVID. */
  const machine = async (name: string) => {
    const own = join(folder.path, name);
    const { out: token } = await countersign(['join-token', `workload/${name}`, '-d', data]);
    await writeFile(`${own}.token`, token);
    const words = [
      ...['--authority', url, '--trust', join(data, 'trust.json')],
      ...['--svid', own, '--join-token-file', `${own}.token`],
    ];
    return {
      svid: own,
      run: (...command: readonly string[]): Promise<Ran> => countersign([...command, ...words]),
    };
  };
  return {
    folder: folder.path,
    bank,
    data,
    url,
    config: file,
    machine,
    /** The events of the authority's own log that say who read, or was refused. */
    async readings(): Promise<readonly Reading[]> {
      const { out } = await countersign(
        ['events', '-d', data, '--kind', 'administration', '--json'],
        {},
      );
      return (
        out
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line) as Reading)
          // Looking here is a reading, too.
          .filter(({ action, by }) => action.startsWith('record-read') && !by.startsWith('local:'))
      );
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ran;
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** An event of the kind that readings are. */
export interface Reading {
  readonly action: string;
  readonly by: string;
  readonly target?: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

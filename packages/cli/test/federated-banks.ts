import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { createWorkloadClient, type WorkloadClient } from '@countersign/spiffe';
import { freePort } from '@countersign/test-support/free-port';
import { countersign, type Ran, temporaryFolder } from './test-io.ts';

const uid = process.getuid?.() ?? 0;

/**
 * A bank with its authority, its gateway `edge` and a node in this process, each as by its own command. It serves its bundle by
 * https_spiffe, and whoever runs this process is its `workload/mine`.
 */
export async function federatedBank(trustDomain: string) {
  const folder = await temporaryFolder();
  const bank = join(folder.path, 'bank');
  const data = join(folder.path, 'data');
  const socket = join(folder.path, 'w.sock');
  await countersign(['init', bank]);
  const [control, issuer, edge, endpoint] = await Promise.all(Array.from({ length: 4 }, freePort));
  const api = createServer((request, answer) => {
    answer.writeHead(200, { 'content-type': 'text/plain' });
    answer.write(`served ${request.url}`);
    // A stream stays open until somebody ends it.
    if (request.url !== '/accounts-api/accounts') answer.end();
  });
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve));
  const { port: apiPort } = api.address() as { port: number };
  for (const file of await readdir(bank, { recursive: true, withFileTypes: true })) {
    if (!file.isFile()) continue;
    const path = join(file.parentPath, file.name);
    await writeFile(path, (await readFile(path, 'utf8')).replaceAll('bank.example', trustDomain));
  }
  const edit = async (file: string, ...changes: [string, string][]): Promise<void> => {
    let text = await readFile(join(bank, file), 'utf8');
    for (const [from, to] of changes) text = text.replaceAll(from, to);
    await writeFile(join(bank, file), text);
  };
  await edit(
    'countersign.yaml',
    ['7401', `${control}`],
    ['7402', `${issuer}`],
    ['8443', `${edge}`],
    [
      'authority:\n',
      `authority:\n  bundleEndpoints: [{ profile: https_spiffe, address: '127.0.0.1:${endpoint}' }]\n`,
    ],
  );
  await edit(
    'surfaces/accounts.yaml',
    ['9001', `${apiPort}`],
    ['mode: shadow', 'mode: enforce'],
    ['persons: [Account]', 'persons: []'],
  );
  const write = async (file: string, text: string): Promise<void> => {
    await mkdir(join(bank, file, '..'), { recursive: true });
    await writeFile(join(bank, file), text);
  };
  await write(
    'policies/federation.cedar',
    `@id("partners-of-a-federation-read")
permit (principal is Partner, action in Accounts::Action::"read", resource)
when { principal has federated && principal.federated };
`,
  );
  await edit('policies/schema.cedarschema', [
    '  accounts?: Set<Accounts::Account>,',
    '  accounts?: Set<Accounts::Account>,\n  federated?: Bool,',
  ]);
  const nodes = (federatesWith: string) => `- id: workload/nodes/host
  owner: platform@${trustDomain}
  isNode: true
- id: workload/mine
  owner: team@${trustDomain}
  attest: [{ nodes: [workload/nodes/host], selectors: ['unix:uid:${uid}'] }]
  federatesWith: [${federatesWith}]
`;
  await write('identities/nodes.yaml', nodes(''));

  const stop = new AbortController();
  const running: Promise<Ran>[] = [];
  const start = async (...words: string[]): Promise<void> => {
    const ready = Promise.withResolvers<void>();
    const ran = countersign(words, { stop: stop.signal, onOut: () => ready.resolve() });
    void ran.then(({ err }) => ready.reject(new Error(err)));
    running.push(ran);
    await ready.promise;
  };
  const onData = (...words: string[]) => countersign([...words, '-d', data]);
  const join1 = async (subject: string): Promise<string> => {
    const file = join(folder.path, `${subject.replaceAll('/', '-')}.token`);
    await writeFile(file, (await onData('join-token', subject)).out);
    return file;
  };
  await start('start', '-C', bank, '-d', data);
  await start(
    ...['node', '-d', join(folder.path, 'host'), '--trust', join(data, 'trust.json')],
    ...['--socket', socket, '--join-token-file', await join1('workload/nodes/host')],
  );
  const clients: WorkloadClient[] = [];
  return {
    ...{ trustDomain, data, edgePort: edge, endpointUrl: `https://127.0.0.1:${endpoint}/` },
    ...{ folder: bank, write, edit, nodes, onData, socket },
    authorityId: `spiffe://${trustDomain}/workload/countersign/authority`,
    edgeId: `spiffe://${trustDomain}/workload/countersign/edge`,
    mine: `spiffe://${trustDomain}/workload/mine`,
    async apply(): Promise<void> {
      const { code, out, err } = await onData('apply');
      if (code !== 0) throw new Error(`${out}${err}`);
    },
    /** Declares a partner that serves itself by https_spiffe. */
    async declare(
      partner: { readonly trustDomain: string; readonly url: string; readonly spiffeId: string },
      bundle: string,
    ): Promise<void> {
      const { trustDomain: name, url, spiffeId } = partner;
      await write(`trust/${name}.json`, bundle);
      await write(
        `federation/${name}.yaml`,
        `- trustDomain: ${name}
  owner: open-banking@${trustDomain}
  expires: 2099-12-31
  bundleEndpoint:
    url: ${url}
    profile: https_spiffe
    spiffeId: ${spiffeId}
    bundleFile: trust/${name}.json
`,
      );
    },
    /** The Workload API as any process of the host has it. */
    client(): WorkloadClient {
      const backOff = { minMs: 20, maxMs: 50 };
      const endpoint = `unix://${socket}`;
      const client = createWorkloadClient({ endpoint, backOff, random: Math.random });
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      stop.abort();
      await Promise.all(running);
      api.closeAllConnections();
      api.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

export type FederatedBank = Awaited<ReturnType<typeof federatedBank>>;

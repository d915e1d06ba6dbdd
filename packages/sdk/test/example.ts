import { createServer } from 'node:https';
import { withTransaction, workloadFromEnvironment } from '@countersign/sdk';
import { renewServerTls, serverTlsOptions } from '@countersign/spiffe';
import { request } from 'undici';

const workload = await workloadFromEnvironment();
const ledger = workload.dispatcherFor(
  'https://ledger.bank.example',
  'spiffe://bank.example/workload/ledger/api',
);
const tls = { svid: () => workload, clientCertificates: 'require' as const };
const server = createServer(serverTlsOptions(tls), async (incoming, answer) => {
  const headers = withTransaction({ accept: 'application/json' }, incoming.headers);
  const { body } = await request('https://ledger.bank.example/entries', {
    dispatcher: ledger,
    headers,
  });
  body.pipe(answer);
});
workload.onRotate(() => renewServerTls(server, tls));

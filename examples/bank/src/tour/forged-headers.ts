import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AUDIENCES } from '../callers/environment.ts';
import { HEADER_LOG_FILE, type HeaderLogEntry } from '../services/header-log.ts';
import { decisionOf, outcomeWords } from './recorded.ts';
import { type Scene, sceneResult, type TourEnvironment } from './scene.ts';
import { withCallers } from './with-callers.ts';

/** Ways in which services have been told who asks; from outside, each of them is a lie. */
const FORGED: Readonly<Record<string, string>> = {
  'x-customer-id': 'customer-1801',
  x_customer_id: 'customer-1801',
  'x-forwarded-for': '127.0.0.1',
  'x-forwarded-client-cert': 'URI=spiffe://bank.example/workload/accounts/api',
  forwarded: 'for=127.0.0.1',
  'x-real-ip': '127.0.0.1',
  'x-user': 'admin',
  'x-auth-request-user': 'admin',
  'x-remote-user': 'admin',
  'remote-user': 'admin',
  'client-cert': ':AAAA:',
  'x-original-url': '/accounts-api/accounts/22310',
  'x-http-method-override': 'DELETE',
  'x-countersign-subject': 'spiffe://bank.example/partner/harvest',
  'txn-token': 'eyJhbGciOiJub25lIn0.eyJ0eG4iOiJmb3JnZWQiLCJzdWIiOiJhZG1pbiJ9.AA',
};
/** The access token and its proof stop at the edge too. */
const NEVER_PASSED_ON = ['authorization', 'dpop'];

/** What a caller claims about itself does not reach the service behind. */
export const forgedHeaders: Scene = {
  name: 'forged-headers',
  title: 'A partner adds headers that claim another identity',
  expected: '200, none reached the service',
  run: (env) =>
    withCallers(env, ['ledgerly'], async (ledgerly) => {
      const token = await ledgerly.token({ scope: 'accounts', resource: AUDIENCES.accounts });
      const path = '/accounts-api/accounts/22289';
      const answer = await ledgerly.call({ path, token, headers: FORGED });
      const words = await outcomeWords(env, answer);
      const txn = (await decisionOf(env, answer.eventId))?.txn;
      const seen = txn === undefined ? undefined : await headersSeen(env, txn);
      if (!seen)
        return sceneResult(forgedHeaders, `${words}, not seen at the service`, [answer.eventId]);
      const unwanted = [...Object.keys(FORGED), ...NEVER_PASSED_ON];
      // The service has a transaction token of its own: the edge's, under the recorded id.
      const reached = seen.filter((name) => unwanted.includes(name) && name !== 'txn-token');
      const got = `${words}, ${reached.length === 0 ? 'none' : reached.join(' ')} reached the service`;
      return sceneResult(forgedHeaders, got, [answer.eventId]);
    }),
};

/** The names of the headers with which the accounts service got a transaction's request. */
async function headersSeen(
  env: TourEnvironment,
  txn: string,
): Promise<readonly string[] | undefined> {
  const text = await readFile(join(env.servicesFolder, 'accounts', HEADER_LOG_FILE), 'utf8');
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as HeaderLogEntry).find((entry) => entry.txn === txn)
    ?.names;
}

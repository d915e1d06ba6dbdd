import { accessTokens, workloadFromEnvironment } from '@countersign/sdk';
import { request } from 'undici';

const workload = await workloadFromEnvironment();
const tokens = accessTokens(workload, { issuerUrl: 'https://tokens.bank.example:7402' });
const api = 'https://api.bank.example:8444';
const dispatcher = workload.dispatcherFor(api, 'spiffe://bank.example/workload/countersign/edge');

export async function statementsOf(account: string) {
  const wish = { resource: 'https://api.bank.example/statements', scope: 'statements' };
  const token = await tokens.get(wish);
  const url = `${api}/statements-api/accounts/${account}/statements`;
  const { statusCode, body } = await request(url, {
    dispatcher,
    headers: { authorization: token.authorization },
  });
  if (statusCode === 401) tokens.refused(token);
  if (statusCode !== 200) throw new Error(`found status ${statusCode}`);
  return body.json();
}

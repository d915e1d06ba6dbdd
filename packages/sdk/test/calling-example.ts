import type { IncomingMessage } from 'node:http';
import { withTransaction, workloadFromEnvironment } from '@countersign/sdk';
import { request } from 'undici';

const workload = await workloadFromEnvironment();
const accounts = 'https://accounts.bank.example:8452';
const point = 'spiffe://bank.example/workload/countersign/accounts';
const dispatcher = workload.dispatcherFor(accounts, point);

export async function balancesOf(account: string, incoming: IncomingMessage) {
  const headers = withTransaction({ accept: 'application/json' }, incoming.headers);
  const url = `${accounts}/accounts-api/accounts/${account}/balances`;
  const { body } = await request(url, { dispatcher, headers });
  return body.json();
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  openAccounts,
  openCore,
  openPayments,
  openStatements,
  type Service,
} from '@countersign/example-bank';
import { Agent, request } from 'undici';

/** The bank's services, each on its own socket, calling each other without points in between. */
export interface RunningBank {
  readonly folder: string;
  /** One request to a service's socket. */
  ask(service: ServiceName, target: string, options?: AskOptions): Promise<Asked>;
  agentOf(service: ServiceName): Agent;
  restart(): Promise<void>;
  close(): Promise<void>;
}

export type ServiceName = 'core' | 'accounts' | 'payments' | 'statements';

export interface AskOptions {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Asked {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into member by member
  readonly json: any;
}

/** A Friday in November 2026. */
export const NOW_MS = Date.UTC(2026, 10, 20, 12);

/** A transaction token as a point beside a service would pass it on; services do not verify it. */
export function transactionFor(partner: string, scope = 'accounts payments', txn = 't-1'): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const sub = `spiffe://bank.example/partner/${partner}`;
  return `${part({ alg: 'EdDSA', typ: 'txntoken+jwt' })}.${part({ txn, sub, scope })}.c2ln`;
}

export async function startBank(faults: Error[] = []): Promise<RunningBank> {
  const folder = mkdtempSync(join(tmpdir(), 'bank-'));
  const socketOf = (name: ServiceName): string => join(folder, `${name}.sock`);
  const agents = new Map<ServiceName, Agent>();
  const agentOf = (name: ServiceName): Agent => {
    const agent = agents.get(name) ?? new Agent({ connect: { socketPath: socketOf(name) } });
    agents.set(name, agent);
    return agent;
  };
  const now = (): number => NOW_MS;
  const onFault = (error: Error): void => {
    faults.push(error);
  };
  let services: Service[] = [];
  const start = async (): Promise<void> => {
    const data = (name: ServiceName): string => join(folder, name);
    const core = await openCore({ data: data('core'), now, onFault });
    const accounts = await openAccounts({
      data: data('accounts'),
      now,
      coreOrigin: 'http://core',
      coreDispatcher: agentOf('core'),
      onFault,
    });
    const payments = await openPayments({
      data: data('payments'),
      now,
      accountsOrigin: 'http://accounts',
      accountsDispatcher: agentOf('accounts'),
      onFault,
    });
    const statements = await openStatements({ data: data('statements'), now, onFault });
    await core.listen(socketOf('core'));
    await accounts.listen(socketOf('accounts'));
    await payments.listen(socketOf('payments'));
    await statements.listen(socketOf('statements'));
    services = [payments, accounts, statements, core];
  };
  const stop = async (): Promise<void> => {
    for (const agent of agents.values()) await agent.destroy();
    agents.clear();
    for (const service of services) await service.close();
  };
  await start();
  return {
    folder,
    agentOf,
    ask: async (service, target, { method = 'GET', body, headers = {} } = {}) => {
      const content = body === undefined ? {} : { 'content-type': 'application/json' };
      const answer = await request(`http://${service}${target}`, {
        method,
        dispatcher: agentOf(service),
        headers: { ...content, ...headers },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const text = await answer.body.text();
      const type = String(answer.headers['content-type'] ?? '');
      const json = type.includes('json') ? JSON.parse(text) : undefined;
      return { status: answer.statusCode, type, text, json };
    },
    restart: async () => {
      await stop();
      await start();
    },
    close: async () => {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

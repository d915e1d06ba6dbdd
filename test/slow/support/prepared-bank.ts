import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadExampleBank, type RunningBank, startExampleBank } from '@countersign/cli';
import type { AccessToken, BankEnvironment, Caller, TokenWish } from '@countersign/example-bank';

/** One change to a file of the working copy: every line that the pattern finds must be there. */
export interface Edit {
  readonly file: string;
  readonly find: RegExp;
  readonly put: string;
}

const WRITTEN_PORTS = [7401, 7402, 7403, 8443, 8444, 8451, 8452, 8453];

/**
 * Makes the working copy of the bank's repository in a data folder and edits it. Its ports become
 * others than the written ones, which a demo beside the tests takes while a killed part is away.
 */
export async function prepareBank(data: string, edits: readonly Edit[]): Promise<void> {
  const bank = await loadExampleBank();
  const repository = join(data, 'repository');
  await bank.prepareBank({ source: bank.REPOSITORY_SOURCE, target: repository, now: Date.now });
  // Below the range from which the system gives ports to connections.
  const base = 20_000 + Math.floor(Math.random() * 1_000) * 10;
  const ports = WRITTEN_PORTS.map((port, index) => ({
    file: 'countersign.yaml',
    find: new RegExp(`:${port}\\b`, 'g'),
    put: `:${base + index}`,
  }));
  for (const { file, find, put } of [...ports, ...edits]) {
    const path = join(repository, file);
    const text = readFileSync(path, 'utf8');
    if (text.search(find) === -1) throw new Error(`found no ${find} in ${file}`);
    writeFileSync(path, text.replace(find, put));
  }
}

/** Starts the bank on a data folder that was prepared, every part a process of its own. */
export async function startBank(data: string): Promise<RunningBank> {
  return startExampleBank({ dataRoot: data, bank: await loadExampleBank(), now: Date.now });
}

/** What a partner outside knows of the bank that runs. */
export function environmentOf({ ports, trust, partnerFolder }: RunningBank): BankEnvironment {
  return {
    edgeOrigin: `https://localhost:${ports.edge}`,
    statementsOrigin: `https://localhost:${ports.statements}`,
    issuerUrl: `https://localhost:${ports.issuer}`,
    issuerCa: trust.x509Authorities
      .map((der) => `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----\n`)
      .join(''),
    partnerFolder,
    now: Date.now,
  };
}

/** A token, or an error that says why not. */
export async function tokenOf(caller: Caller, wish: TokenWish): Promise<AccessToken> {
  const answer = await caller.obtainToken(wish);
  if (answer.kind === 'token') return answer.token;
  throw new Error(`no token: ${answer.error} ${answer.description}`);
}

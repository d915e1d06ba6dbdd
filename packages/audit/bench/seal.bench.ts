import { createCipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { createSealer, openRecordKeyStore, openRecordKeys, revealEvent } from '@countersign/audit';
import { type Event, encodeEvent } from '@countersign/model';
import { openDatabase } from '@countersign/state';

const RUNS = 20_000;
const line = (text: string): void => void process.stdout.write(`${text}\n`);

// What sealing costs an event, in µs of CPU and in bytes, beside the least that any encryption could.
// Run: node --conditions=@countersign/source packages/audit/bench/seal.bench.ts

async function benchSealing(): Promise<void> {
  const database = openDatabase({ file: ':memory:' });
  const store = await openRecordKeyStore({ database, secret: randomBytes(32), now: Date.now });
  const keys = openRecordKeys(await store.keysFor('edge', ['default']));
  const isPersonal = (type: string): boolean => type === 'Accounts::Account';
  const seal = createSealer({ holder: 'edge', keys: () => keys, isPersonal });
  line('sealing                                    µs CPU more   bytes more');
  const cases: readonly (readonly [string, (run: number) => Event])[] = [
    ['a partner, one of 400 accounts', (run) => decision('partner/ledgerly', run % 400)],
    ['a customer, one of 400 accounts', (run) => decision(`customer/c${run % 50}`, run % 400)],
    ['a customer, a new account each time', (run) => decision(`customer/c${run % 50}`, run)],
  ];
  for (const [name, eventOf] of cases) {
    const size = { plain: 0, sealed: 0 };
    const plain = cost((run) => {
      size.plain += encodeEvent(eventOf(run)).length;
    });
    const sealed = cost((run) => {
      size.sealed += encodeEvent(seal(eventOf(run))).length;
    });
    const more = Math.round((size.sealed - size.plain) / RUNS / 2);
    line(
      `  ${name.padEnd(38)} ${(sealed - plain).toFixed(1).padStart(11)} ${`${more}`.padStart(12)}`,
    );
  }
  const one = seal(decision('customer/c1', 1));
  line(
    `  read again by name ${cost(() => void revealEvent(one, store.open))
      .toFixed(1)
      .padStart(31)}`,
  );
  const key = createSecretKey(randomBytes(32));
  const text = JSON.stringify(decision('customer/c1', 1)).slice(0, 200);
  const aes = cost(() => {
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12));
    cipher.update(text);
    cipher.final();
    cipher.getAuthTag();
  });
  line(`  AES-256-GCM alone, one part ${aes.toFixed(1).padStart(22)}`);
  await database.close();
}

/** µs of CPU a run, the second time, when everything is compiled. */
function cost(work: (run: number) => void): number {
  let spent = 0;
  for (const _ of ['warm', 'measured']) {
    const start = process.cpuUsage();
    for (let run = 0; run < RUNS; run++) work(run);
    const { user, system } = process.cpuUsage(start);
    spent = (user + system) / RUNS;
  }
  return spent;
}

function decision(subject: string, account: number): Event {
  return {
    v: 1,
    id: 'abcdefghijklmnopqrstuv',
    at: Date.now(),
    origin: 'bank.example/edge',
    seq: account,
    kind: 'decision',
    surface: 'accounts',
    mode: 'enforce',
    method: 'GET',
    route: '/accounts/{AccountId}',
    subject: `spiffe://bank.example/${subject}`,
    session: 's'.repeat(22),
    txn: 't'.repeat(22),
    ip: '192.0.2.7',
    tokenHash: 'h'.repeat(43),
    evidence: 'E1',
    effect: 'permit',
    enforced: true,
    reason: 'policy-permits',
    action: 'GetAccount',
    resource: { type: 'Accounts::Account', id: `${account}` },
    context: { session: { acr: 'phr', amr: ['hwk'] }, risk: 'LOW', ip: '192.0.2.7' },
    policies: ['customer-reads-own-accounts'],
    policyVersion: 'v'.repeat(43),
    factSequence: 12,
    microseconds: 3,
  };
}

await benchSealing();

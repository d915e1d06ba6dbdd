import type { Fact } from '@countersign/model';
import { openFactLog, openPostgres } from '@countersign/state';

// A process that appends to a shared fact log, two facts a change, and says what was acknowledged, until it is killed.
const [, , host = '', database = '', user = '', name = ''] = process.argv;
const log = await openFactLog(await openPostgres({ host, database, user }), {
  trustDomain: 'bank.example',
  now: Date.now,
});
for (let index = 0; ; index += 1) {
  const fact = (value: string): Fact => ({
    ...{ kind: 'revocation', target: 'session', value, reason: 'lost' },
    ...{ atMs: 0, untilMs: 1 },
  });
  const change = await log.append({
    puts: [fact(`${name} ${index} a`), fact(`${name} ${index} b`)],
  });
  process.stdout.write(`${change.sequence} ${name} ${index}\n`);
}

import { openRollingLog, shardFolders } from '@countersign/audit';
import { ed25519NoteSigner } from '@countersign/ledger';
import { compactId } from '@countersign/model';
import { decision, encode, fixedKey } from './points.ts';

// A log in shards in a process of its own, to be killed: a month goes by every few milliseconds, appends never stop,
// and each line out is an acknowledged event: its shard, its place, its id.
const [folder = '', startMs = '0'] = process.argv.slice(2);
const clock = { ms: Number(startMs) };
const log = await openRollingLog({
  origin: 'bank.example/edge',
  signer: (name) => ed25519NoteSigner({ name, privateKey: fixedKey(5) }),
  storage: shardFolders(folder),
  ...{ length: () => 'month', now: () => clock.ms, newId: compactId },
  onTrouble: (detail) => {
    throw new Error(detail);
  },
});
setInterval(() => {
  clock.ms += 31 * 86_400_000;
  void log.look();
}, 15);
let lines = '';
for (;;) {
  for (let at = 0; at < 5; at++) {
    const id = compactId();
    const { origin, nextIndex: seq } = log;
    const index = log.append(encode(decision(id, { at: clock.ms }), { origin, seq }));
    void log.durable(index).then(() => {
      lines += `${origin} ${index} ${id}\n`;
    });
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
  if (lines !== '') process.stdout.write(lines);
  lines = '';
}

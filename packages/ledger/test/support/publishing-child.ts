import { nodeDisk, publishTiles, tileFolder } from '@countersign/ledger';
import { vkey } from './sample-log.ts';

// A publisher in a process of its own, to be killed: prints the size that was published, after each segment.
const [log = '', target = ''] = process.argv.slice(2);
process.stdout.write('begin\n');
const outcome = await publishTiles(nodeDisk(log), tileFolder(target), {
  verifierKey: vkey,
  onProgress: ({ size }) => process.stdout.write(`${size}\n`),
});
process.stdout.write(`${outcome.size}\n`);

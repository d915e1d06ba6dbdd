import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign, verify } from 'node:crypto';

/** How fast the measured processor is just now: two operations whose cost on a quiet machine is known. */
export interface Calibration {
  /** CPU microseconds, the median of 20 batches: about 31 on a quiet core of the machine class in README.md. */
  readonly ed25519SignMicroseconds: number;
  /** About 90 there. */
  readonly es256VerifyMicroseconds: number;
}

/** Calibrates on one processor, in a process of its own; about half a second. */
export function calibrate(cpu: number): Calibration {
  const command = ['-c', String(cpu), process.execPath, import.meta.filename];
  return JSON.parse(execFileSync('taskset', command, { encoding: 'utf8' }));
}

if (import.meta.main) {
  const message = Buffer.alloc(900);
  const ed25519 = generateKeyPairSync('ed25519');
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signature = sign('sha256', message, p256.privateKey);
  const calibration: Calibration = {
    ed25519SignMicroseconds: microseconds(() => sign(null, message, ed25519.privateKey)),
    es256VerifyMicroseconds: microseconds(() =>
      verify('sha256', message, p256.publicKey, signature),
    ),
  };
  process.stdout.write(JSON.stringify(calibration));
}

function microseconds(operation: () => unknown): number {
  const batches = Array.from({ length: 21 }, () => {
    const before = process.cpuUsage();
    for (let count = 0; count < 100; count++) operation();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 100;
  });
  // The first one warms up.
  return batches.slice(1).toSorted((a, b) => a - b)[10] ?? Number.NaN;
}

import { generateKeyPairSync } from 'node:crypto';
import { rmSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { openPkcs11Token } from '@countersign/identity';
import { softwareSigner } from '@countersign/spiffe';
import { missingSoftHsm, newSoftHsm, PIN } from '@countersign/test-support/softhsm';

// Signatures by SoftHSM through PKCS#11, and by OpenSSL in this process; and what a slow token does to the event loop.

const COUNT = 2000;

if (!missingSoftHsm()) {
  const hsm = newSoftHsm();
  hsm.initToken('bench');
  for (const sessionsMax of [1, 2, 4]) {
    const token = await openPkcs11Token({
      module: hsm.faulty,
      token: { label: 'bench' },
      pin: async () => PIN,
      sessionsMax,
    });
    const key = (await token.key({ label: 'ca' }, 'p256')) ?? (await token.makeKey('ca', 'p256'));
    await measure(`SoftHSM, ${sessionsMax} sessions, one after another`, key, 1);
    await measure(`SoftHSM, ${sessionsMax} sessions, 16 at once`, key, 16);
    if (sessionsMax === 2) {
      hsm.order(`C_Sign sleep 10 ${200}`);
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      await Promise.all(Array.from({ length: 200 }, () => key.sign(Buffer.from('to be signed'))));
      delay.disable();
      console.log(
        `a token that takes 10 ms more: event loop late by p50 ${(delay.percentile(50) / 1e6).toFixed(1)} ms, p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms`,
      );
      hsm.order();
    }
    await token.close();
  }
  const software = softwareSigner(generateKeyPairSync('ec', { namedCurve: 'P-256' }));
  await measure('OpenSSL in this process', software, 1);
  rmSync(hsm.folder, { recursive: true });
}

async function measure(
  name: string,
  key: { sign(bytes: Uint8Array): Promise<Uint8Array> | Uint8Array },
  width: number,
): Promise<void> {
  const tookMs: number[] = [];
  const [cpu, startMs] = [process.cpuUsage(), performance.now()];
  let left = COUNT;
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const fromMs = performance.now();
      await key.sign(Buffer.from('to be signed'));
      tookMs.push(performance.now() - fromMs);
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  const { user, system } = process.cpuUsage(cpu);
  const perSecond = (COUNT / (performance.now() - startMs)) * 1000;
  const at = (part: number) => tookMs.sort((a, b) => a - b)[Math.floor(COUNT * part)]?.toFixed(2);
  console.log(
    `${name}: ${perSecond.toFixed(0)} a second; ${((COUNT / (user + system)) * 1e6).toFixed(0)} a CPU-second; p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );
}

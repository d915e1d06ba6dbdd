import { expect, test } from 'vitest';
import { rotatingBank, underLoad, until } from '../rotating-bank.ts';

/** By its schedule alone: an authority that issues for 36 s, SVIDs of 10 s. */
test('two rotations of all kinds go by under load, and no request fails', async () => {
  await using bank = await rotatingBank({
    svidTtl: '10s',
    ca: '{ lifetime: 36s, jwtLifetime: 36s, tokenLifetime: 36s }',
  });
  const workload = await bank.workload();
  const load = underLoad(() => bank.call(workload), 8);
  const seen = new Set<string>();
  const active = async (): Promise<string> => {
    const { x509, token } = await bank.show();
    expect([x509.isOverdue, x509.trouble]).toEqual([false, undefined]);
    expect([token.isOverdue, token.trouble]).toEqual([false, undefined]);
    return x509.authorities.find(({ state }) => state === 'active')?.id ?? 'none';
  };
  await until(
    async () => {
      seen.add(await active());
      expect(load.wrong).toEqual([]);
      return seen.size === 3;
    },
    'three authorities have issued',
    120_000,
  );
  // And everybody has an SVID of the third.
  const renewedMs = workload.notAfterMs;
  await until(() => workload.notAfterMs > renewedMs + 5000, 'another renewal', 30_000);
  await load.stop();
  expect(load.wrong).toEqual([]);
  console.log(`${load.calls()} requests over ${seen.size - 1} rotations, none failed`);
}, 240_000);

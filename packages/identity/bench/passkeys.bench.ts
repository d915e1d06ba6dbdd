/**
 * Passkeys verified per second of CPU: `POST /account/login`, with its challenge used up, the signature verified, a session begun and recorded.
 * The challenges are fetched and signed before, and not counted; the HTTP client's share is. Database and log in memory. Run from the root: see the README.
 */
import type { Browser } from '../test/login/browser.ts';
import { alice, startLoginBank } from '../test/login/login-bank.ts';

const BATCHES = 6;
const IN_ONE = 200;

const bank = await startLoginBank();
const key = await bank.enrol(alice);

/** A browser that has signed, and has not sent it yet. */
async function signed(): Promise<{ readonly browser: Browser; readonly assertion: unknown }> {
  const browser = bank.browser();
  const { body } = await browser.post('/account/options');
  return { browser, assertion: key.get(body, { origin: browser.origin, rpId: 'localhost' }) };
}

let seconds = 0;
for (let batch = 0; batch < BATCHES; batch += 1) {
  const waiting: Awaited<ReturnType<typeof signed>>[] = [];
  for (let index = 0; index < IN_ONE; index += 1) waiting.push(await signed());
  const start = process.cpuUsage();
  for (const { browser, assertion } of waiting) {
    const { status } = await browser.post('/account/login', assertion);
    if (status !== 200) throw new Error(`found ${status}`);
  }
  const { user, system } = process.cpuUsage(start);
  // The first one compiles.
  if (batch > 0) seconds += (user + system) / 1e6;
}
const count = (BATCHES - 1) * IN_ONE;
console.log(`passkeys verified: ${Math.round(count / seconds)} per second of CPU`);
await bank.close();

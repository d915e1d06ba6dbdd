import { createCedarEngine } from '@countersign/cedar';
import { startNodeThread } from '@countersign/cedar/node';
import { checkRepository } from '@countersign/policy';
import { expect, test } from 'vitest';
import { issuerSettingsText, readIssuerSettings } from '../src/issuer/issuer-settings.ts';
import { version } from '../src/version.ts';
import { countersign, temporaryFolder } from './test-io.ts';

async function settingsText(): Promise<string> {
  await using folder = await temporaryFolder();
  await countersign(['init', `${folder.path}/bank`]);
  const engine = createCedarEngine({ startThread: startNodeThread });
  try {
    const checked = await checkRepository(`${folder.path}/bank`, { engine, now: Date.now });
    if (!checked.repository) throw new Error(JSON.stringify(checked.problems));
    return issuerSettingsText(checked.repository);
  } finally {
    await engine.close();
  }
}

test('an issuer reads what an authority of its version wrote: what issuing needs, and no policy, point or place of others', async () => {
  const text = await settingsText();
  const { config, surfaces } = readIssuerSettings(text);
  expect(config.authority).toMatchObject({ accessTokenTtlSeconds: 300 });
  expect(config.points).toEqual([]);
  expect(surfaces.length).toBeGreaterThan(0);
  expect(text).not.toMatch(/permit|upstream":\{"http|passphrase|exports/);
});

test('refuses what another version wrote, and that nothing was written', async () => {
  const text = await settingsText();
  const other = text.replace(`"version":"${version}"`, '"version":"9.9.9"');
  expect(other).not.toBe(text);
  expect(() => readIssuerSettings(other)).toThrow(
    `found an authority of version 9.9.9, expected ${version}`,
  );
  expect(() => readIssuerSettings(undefined)).toThrow('found no settings of issuers');
});

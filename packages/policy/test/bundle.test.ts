import { generateKeyPairSync } from 'node:crypto';
import {
  BUNDLE_TYPE,
  buildBundle,
  type PolicyBundle,
  parseBundle,
  type Repository,
  RepositoryError,
  signBundle,
} from '@countersign/policy';
import { localSigner, verifyStatement } from '@countersign/state';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NOW_MS, repositoryFolder } from './repository-folder.ts';

const OPTIONS = { trustDomain: 'bank.example', sequence: 1, now: () => NOW_MS };

async function checkedRepository(): Promise<Repository> {
  await using folder = await repositoryFolder();
  const { repository } = await folder.check();
  if (!repository) throw new Error('the repository that init makes must be good');
  return repository;
}

test('a bundle goes through signature and parser unchanged', async () => {
  const bundle = buildBundle(await checkedRepository(), OPTIONS);
  const signer = localSigner(generateKeyPairSync('ed25519').privateKey, 'policy-1');
  const jws = await signBundle(bundle, signer);
  const payload = verifyStatement(jws, {
    type: BUNDLE_TYPE,
    keys: [{ ...signer.publicJwk, kid: 'policy-1' }],
  });
  expect(parseBundle(payload)).toEqual(bundle);
  expect(bundle).toMatchObject({ trustDomain: 'bank.example', sequence: 1, createdAtMs: NOW_MS });
  expect(bundle.version).toMatch(/^[A-Za-z0-9_-]{43}$/);
});

test('does not pass as signed facts', async () => {
  const bundle = buildBundle(await checkedRepository(), OPTIONS);
  const signer = localSigner(generateKeyPairSync('ed25519').privateKey, 'policy-1');
  const jws = await signBundle(bundle, signer);
  const keys = [{ ...signer.publicJwk, kid: 'policy-1' }];
  expect(() => verifyStatement(jws, { type: 'countersign-facts+jwt', keys })).toThrow();
});

describe('the version', () => {
  test('is the same for the same content, whatever sequence, time, order of files and of keys', async () => {
    const repository = await checkedRepository();
    const { version } = buildBundle(repository, OPTIONS);
    const shuffledKeys = (value: unknown): unknown =>
      typeof value !== 'object' || value === null
        ? value
        : Array.isArray(value)
          ? value.map(shuffledKeys)
          : Object.fromEntries(
              Object.entries(value)
                .toReversed()
                .map(([key, member]) => [key, shuffledKeys(member)]),
            );
    await fc.assert(
      fc.property(
        fc.integer({ min: 1 }),
        fc.nat(),
        fc.shuffledSubarray([...repository.policies], { minLength: repository.policies.length }),
        fc.boolean(),
        (sequence, atMs, policies, reversed) => {
          const surfaces = reversed
            ? (shuffledKeys(repository.surfaces) as Repository['surfaces'])
            : repository.surfaces;
          const again = buildBundle(
            { ...repository, surfaces, policies },
            { trustDomain: 'bank.example', sequence, now: () => atMs },
          );
          expect(again.version).toBe(version);
        },
      ),
    );
  });

  test('is the same when the same files are read from another folder', async () => {
    const versions = [await checkedRepository(), await checkedRepository()].map(
      (repository) => buildBundle(repository, OPTIONS).version,
    );
    expect(versions[0]).toBe(versions[1]);
  });

  test('is another for any other content', async () => {
    const repository = await checkedRepository();
    const [surface] = repository.surfaces;
    const [policy, ...policies] = repository.policies;
    if (!surface || !policy) throw new Error('the repository that init makes has both');
    const [operation, ...operations] = surface.operations;
    const versions = [
      buildBundle(repository, OPTIONS),
      buildBundle(repository, { ...OPTIONS, trustDomain: 'other.example' }),
      buildBundle({ ...repository, schema: `${repository.schema} ` }, OPTIONS),
      buildBundle({ ...repository, policies }, OPTIONS),
      buildBundle(
        { ...repository, policies: [{ ...policy, text: `${policy.text} ` }, ...policies] },
        OPTIONS,
      ),
      buildBundle({ ...repository, surfaces: [{ ...surface, mode: 'enforce' }] }, OPTIONS),
      buildBundle({ ...repository, surfaces: [{ ...surface, operations }] }, OPTIONS),
      buildBundle(
        {
          ...repository,
          surfaces: [{ ...surface, operations: operation ? [...operations, operation] : [] }],
        },
        OPTIONS,
      ),
    ].map(({ version }) => version);
    expect(new Set(versions).size).toBe(versions.length);
  });
});

describe('a replica refuses', () => {
  const refused: [string, (bundle: PolicyBundle) => unknown, RegExp][] = [
    [
      'what is no bundle',
      () => 'bundle',
      /^could not read bundle: found .*, expected a policy bundle$/,
    ],
    ['a field that it does not know', (bundle) => ({ ...bundle, extra: 1 }), /extra/],
    ['a sequence of zero', (bundle) => ({ ...bundle, sequence: 0 }), /'sequence'/],
    [
      'content of another version',
      (bundle) => ({ ...bundle, schema: '' }),
      /found version '.{43}', expected '.{43}' for this content/,
    ],
    [
      'a version of other content',
      (bundle) => ({ ...bundle, version: 'A'.repeat(43) }),
      /found version/,
    ],
    [
      'a mode that is none',
      (bundle) => ({
        ...bundle,
        surfaces: bundle.surfaces.map((surface) => ({ ...surface, mode: 'off' })),
      }),
      /'surfaces\.0\.mode'/,
    ],
    [
      'facts that may be older than a day',
      (bundle) => ({
        ...bundle,
        surfaces: bundle.surfaces.map((surface) => ({ ...surface, factsMaxAgeSeconds: 86_401 })),
      }),
      /factsMaxAgeSeconds/,
    ],
  ];
  test.each(refused)('%s', async (_, change, message) => {
    const bundle = buildBundle(await checkedRepository(), OPTIONS);
    const parse = () => parseBundle(change(bundle));
    expect(parse).toThrow(RepositoryError);
    expect(parse).toThrow(message);
    expect(parse).toThrow(expect.objectContaining({ code: 'ERR_POLICY_BUNDLE_INVALID' }));
  });
});

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type CedarEntity,
  CedarError,
  type CedarJson,
  type CedarUid,
  type PolicySet,
} from '@countersign/cedar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newEngine } from './engine.ts';

// cedar-policy/cedar-integration-tests, Apache-2.0, "Copyright Cedar Contributors": read, never copied.
const DATA =
  process.env['CEDAR_CORPUS'] ??
  fileURLToPath(new URL('../../../../shared/data/cedar/', import.meta.url));
const isThere = existsSync(join(DATA, 'handwritten.tar.gz'));
if (!isThere) console.log(`skipped the official Cedar tests: found no ${DATA}`);

/** Which tests of the corpus are taken; another seed takes others. */
const SEED = Number(process.env['CEDAR_CORPUS_SEED'] ?? 20_261_122);
const SAMPLE = Number(process.env['CEDAR_CORPUS_SAMPLE'] ?? 150);

interface OfficialTest {
  readonly policies: string;
  readonly entities: string;
  readonly schema: string;
  readonly shouldValidate: boolean;
  readonly requests: readonly {
    readonly description: string;
    readonly principal: CedarUid;
    readonly action: CedarUid;
    readonly resource: CedarUid;
    readonly context: { readonly [name: string]: CedarJson };
    readonly validateRequest?: boolean;
    readonly decision: 'allow' | 'deny';
    readonly reason: readonly string[];
    readonly errors: readonly string[];
  }[];
}

const engine = newEngine();
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-cedar-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await engine.close();
});

test.skipIf(!isThere)('answers all 74 handwritten requests as the reference does', async () => {
  execFileSync('tar', ['-xzf', join(DATA, 'handwritten.tar.gz'), '-C', folder]);
  const names = execFileSync('find', [join(folder, 'tests'), '-name', '*.json'], {
    encoding: 'utf8',
  });
  let requests = 0;
  for (const file of names.trim().split('\n').sort()) {
    const set = await loadTest(readTest(file));
    expect(set, file).not.toBeInstanceOf(CedarError);
    requests += compare(file, set as PolicySet);
  }
  expect(requests).toBe(74);
});

test.skipIf(!isThere)(
  `answers a sample of the corpus as the reference does (seed ${SEED})`,
  async () => {
    const archive = join(DATA, 'corpus-tests.tar.gz');
    const all = execFileSync('tar', ['-tzf', archive], { encoding: 'utf8', maxBuffer: 1 << 26 })
      .split('\n')
      .filter((name) => /[0-9a-f]{40}\.json$/.test(name))
      .sort();
    const chosen = sample(all, SAMPLE).map((name) => name.slice(0, -'.json'.length));
    const parts = chosen.flatMap((name) =>
      ['.json', '.cedar', '.cedarschema', '.entities.json'].map((end) => name + end),
    );
    execFileSync('tar', ['-xzf', archive, '-C', folder, '-T', '-'], { input: parts.join('\n') });

    const tally = { requests: 0, refusedInvalid: 0, refusedInteger: 0 };
    for (const name of chosen) {
      const file = join(folder, `${name}.json`);
      const official = readTest(file);
      const set = await loadTest(official);
      if (set instanceof CedarError) {
        // We load only what validates, and no integer that JavaScript cannot hold.
        const isInteger = set.problems.some((problem) =>
          problem.message.includes('found the integer'),
        );
        if (isInteger) tally.refusedInteger += 1;
        else tally.refusedInvalid += 1;
        expect(isInteger || !official.shouldValidate, `${name}: ${set.message}`).toBe(true);
      } else {
        tally.requests += compare(file, set);
      }
    }
    console.log(`corpus sample of ${SAMPLE}, seed ${SEED}: ${JSON.stringify(tally)}`);
    expect(tally.requests).toBeGreaterThan(SAMPLE);
  },
  120_000 + SAMPLE * 200,
);

function readTest(file: string): OfficialTest {
  return JSON.parse(readFileSync(file, 'utf8'));
}

async function loadTest(official: OfficialTest): Promise<PolicySet | CedarError> {
  const text = readFileSync(join(folder, official.policies), 'utf8');
  const schema = readFileSync(join(folder, official.schema), 'utf8');
  // The reference names policies by their order; our split wants names, so they are written before.
  const parts = text.split(/(?<=;)\s*$/m).filter((part) => /permit|forbid/.test(part));
  const named = parts.map((part, index) => ({ id: `policy${index}`, text: part.trim() }));
  return engine.load(named, schema).catch((error: CedarError) => error);
}

/** How many requests were put; each must be answered as the reference did. */
function compare(file: string, set: PolicySet): number {
  const official = readTest(file);
  const rows: {
    uid: unknown;
    attrs: CedarEntity['attrs'];
    parents: unknown[];
    tags?: CedarEntity['attrs'];
  }[] = JSON.parse(readFileSync(join(folder, official.entities), 'utf8'));
  const entities = new Map(
    rows.map((row) => [
      JSON.stringify(bare(row.uid)),
      {
        uid: bare(row.uid),
        attrs: row.attrs,
        parents: row.parents.map(bare),
        ...(row.tags && { tags: row.tags }),
      },
    ]),
  );
  let requests = 0;
  for (const request of official.requests) {
    const ask = {
      principal: bare(request.principal),
      action: bare(request.action),
      resource: bare(request.resource),
      context: request.context,
    };
    const answer = set.decide(ask, { get: (uid) => entities.get(JSON.stringify(bare(uid))) });
    // What we refuse to look at (unsafe integers, requests that do not fit the schema) is denied.
    if (answer.errors[0]?.policy === '') {
      expect(answer.decision).toBe('deny');
      expect(answer.errors[0].message, `${file} ${request.description}`).toMatch(
        /found -?[0-9.e+]+ at/,
      );
      continue;
    }
    expect(
      {
        decision: answer.decision,
        reason: answer.reasons,
        errors: answer.errors.map((each) => each.policy),
      },
      `${file} ${request.description}`,
    ).toEqual({
      decision: request.decision,
      reason: [...request.reason].sort(),
      errors: [...request.errors].sort(),
    });
    requests += 1;
  }
  set.dispose();
  return requests;
}

function bare(value: unknown): CedarUid {
  const { type, id } = ((value as { __entity?: CedarUid }).__entity ?? value) as CedarUid;
  return { type, id };
}

/** `count` of `all`, by a small generator (mulberry32) so that a seed says which. */
function sample(all: readonly string[], count: number): readonly string[] {
  let state = SEED;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const rest = [...all];
  return Array.from(
    { length: count },
    () => rest.splice(Math.floor(next() * rest.length), 1)[0] ?? '',
  );
}

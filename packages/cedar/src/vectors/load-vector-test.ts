import type { PolicySet } from '../authorize/policy-set.ts';
import type { CedarEngine, CedarEntity, PolicySource } from '../engine.ts';
import { createEntityStore } from '../entity/create-entity-store.ts';
import type { EntityView } from '../entity/entity-view.ts';
import { createJsonParser } from '../json/create-json-parser.ts';
import { parseCedarJson } from '../json/parse-cedar-json.ts';
import { parsePolicy } from '../text/parse-policy.ts';
import { readLinks, readUid } from './read-vector-test.ts';
import type { VectorLink, VectorTest } from './vector-test.ts';

/** A test ready to be asked. */
export interface LoadedVectorTest {
  readonly set: PolicySet;
  readonly entities: EntityView;
}

/**
 * Loads what a test names.
 *
 * @param read gives the text of a file, named as the test names it; nothing for one that is not there
 * @throws {Error} when a part is missing, is not what it should be, or is refused
 */
export async function loadVectorTest(
  test: VectorTest,
  { engine, read }: { readonly engine: CedarEngine; readonly read: ReadFile },
): Promise<LoadedVectorTest> {
  const schema = typeof test.schema === 'string' ? await readAll(test.schema, read) : test.schema;
  const sources = await engine.split(await readAll(test.policies, read), { ids: 'position' });
  const [problem] = sources.problems;
  if (problem) throw new Error(`cannot read ${test.policies}: ${problem.message}`);
  const templates = sources.policies.filter((source) => source.isTemplate);
  const links = await findLinks(test, read);
  const set = await engine.load(
    sources.policies.filter((source) => !source.isTemplate),
    schema,
    {
      templates,
      links: links.map((link) => ({ ...link, template: placeOf(link.template, templates) })),
      validation: 'off',
    },
  );
  const entities =
    typeof test.entities === 'string'
      ? parseCedarJson(await readAll(test.entities, read))
      : (test.entities ?? []);
  return { set, entities: readEntities(entities, set) };
}

type ReadFile = (path: string) => Promise<string | undefined>;

async function readAll(path: string, read: ReadFile): Promise<string> {
  const text = await read(path);
  if (text === undefined) {
    throw new Error(`found no file '${path}', expected one relative to the root of the tests`);
  }
  return text;
}

/** The test's own links, else those in a file beside the policies. */
async function findLinks(test: VectorTest, read: ReadFile): Promise<readonly VectorLink[]> {
  if (typeof test.links === 'string') {
    return readLinks(parseCedarJson(await readAll(test.links, read)));
  }
  if (test.links) return test.links;
  const beside = await read(test.policies.replace(/\.cedar$/, '.links.json'));
  return beside === undefined || beside === '' ? [] : readLinks(parseCedarJson(beside));
}

/**
 * Templates are called by their place in the file; a link may use the `@id` that one is annotated with, or its
 * place among the templates, as well.
 */
function placeOf(template: string, templates: readonly PolicySource[]): string {
  if (templates.some(({ id }) => id === template)) return template;
  const annotated = templates.find((source) =>
    parsePolicy(source, { isTemplate: true }).policy?.annotations.some(
      ([name, value]) => name === 'id' && value === template,
    ),
  );
  const place = /^template(\d+)$/.exec(template)?.[1];
  return annotated?.id ?? templates[Number(place)]?.id ?? template;
}

function readEntities(json: unknown, { schema }: PolicySet): EntityView {
  if (!Array.isArray(json)) throw new Error('found no list of entities, expected one');
  const parser = createJsonParser(schema);
  const store = createEntityStore();
  store.putAll(json.map((entity) => parser.parseEntity(asEntity(entity))));
  return store;
}

/** The official files write names of entities bare or within `__entity`. */
function asEntity(json: unknown): CedarEntity {
  if (typeof json !== 'object' || json === null) {
    throw new Error('found an entity that is no object, expected one');
  }
  const { uid, parents } = json as { readonly uid?: unknown; readonly parents?: unknown };
  return {
    ...(json as CedarEntity),
    uid: readUid(uid, 'uid'),
    parents: Array.isArray(parents) ? parents.map((parent) => readUid(parent, 'parents')) : [],
  };
}

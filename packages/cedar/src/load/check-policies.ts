import type { LinkedPolicy } from '../ast/linked-policy.ts';
import type { PolicyAst, TemplateLink } from '../ast/policy.ts';
import type { CedarProblem, LoadOptions, PolicySource, SchemaSource } from '../engine.ts';
import { LIMITS } from '../limits.ts';
import { linkTemplate } from '../link/link-template.ts';
import { checkPolicyIds, checkPolicySources, checkSchemaLength } from '../text/check-text.ts';
import { parsePolicy } from '../text/parse-policy.ts';
import type { RestartableThread } from '../wasm/restartable-thread.ts';
import type { ThreadSource } from '../wasm/thread-request.ts';
import { askInGroups, askTwice, type Deaths, deadly } from './ask-in-groups.ts';

/** What was asked for, as it came. */
export interface PoliciesToCheck extends LoadOptions {
  readonly policies: readonly PolicySource[];
  readonly schema: SchemaSource;
}

/** What there is of it. Where a problem is an error, it is not all. */
export interface CheckedPolicies {
  readonly problems: readonly CedarProblem[];
  /** Static policies in the order given, then links. */
  readonly policies: readonly LinkedPolicy[];
  /** The schema's JSON with the names of all types in full. */
  readonly resolvedSchema?: unknown;
}

/**
 * Finds all that is wrong with policies, templates, links and schema. The thread is asked about a few of them at
 * a time; what a text does to it is that text's fault alone, and the rest is asked again.
 */
export async function checkPolicies(
  { policies, schema, templates = [], links: asked = [], validation = 'strict' }: PoliciesToCheck,
  thread: RestartableThread,
): Promise<CheckedPolicies> {
  // Copied at once: what a caller changes later must not make us validate one thing and load another.
  const links = asked.map(copyLink);
  const sources = [
    ...policies.map(({ id, text }) => ({ id, text, isTemplate: false })),
    ...templates.map(({ id, text }) => ({ id, text, isTemplate: true })),
  ];
  const schemaText = readSchema(schema);
  const problems: CedarProblem[] = [
    ...(typeof schemaText === 'object' ? [schemaText] : checkSchemaLength(schemaText ?? '')),
    ...checkPolicySources(sources, sources.length + links.length),
    ...checkPolicyIds([...sources, ...links]),
  ];
  // A schema or a set that is refused as a whole is not parsed at all.
  if (problems.some((problem) => problem.policy === undefined) || typeof schemaText === 'object') {
    return { problems, policies: [] };
  }
  const faulty = new Set(problems.map((problem) => problem.policy));
  const deaths: Deaths = { left: LIMITS.workerDeaths };

  let resolvedSchema: unknown;
  if (schemaText !== undefined) {
    const reply = await askTwice(() => thread.ask({ kind: 'schema', schema: schemaText }));
    if (reply.kind === 'died')
      return { problems: [...problems, deadly(reply.message)], policies: [] };
    problems.push(...reply.problems);
    resolvedSchema = reply.resolved;
  }

  const good = sources.filter(({ id }) => !faulty.has(id));
  const { parsed, isComplete } = await parseAll(good, { thread, problems, deaths });
  const linked = linkAll(
    links.filter(({ id }) => !faulty.has(id)),
    { parsed, sources, problems },
  );
  // Whatever else a caller without types may write, only one word switches it off.
  if (isComplete && validation !== 'off' && schemaText !== undefined && resolvedSchema) {
    await validateAll(
      good.filter(({ id }) => parsed.has(id)),
      {
        links: links.filter(({ id }) => linked.has(id)),
        schema: schemaText,
        thread,
        problems,
        deaths,
      },
    );
  }
  const statics = policies.flatMap(({ id }) => parsed.get(id) ?? []);
  return { problems, policies: [...statics, ...linked.values()], resolvedSchema };
}

function copyLink({ id, template, values }: TemplateLink): TemplateLink {
  const copied = Object.entries(values).map(([slot, value]) => [
    slot,
    value && { type: value.type, id: value.id },
  ]);
  return { id, template, values: Object.fromEntries(copied) };
}

/** What the steps of one call share. */
interface Call {
  readonly thread: RestartableThread;
  /** Grows. */
  readonly problems: CedarProblem[];
  readonly deaths: Deaths;
}

async function parseAll(
  sources: readonly ThreadSource[],
  { thread, problems, deaths }: Call,
): Promise<{ readonly parsed: ReadonlyMap<string, PolicyAst>; readonly isComplete: boolean }> {
  const parsed = new Map<string, PolicyAst>();
  const isComplete = await askInGroups(sources, {
    sizeMax: LIMITS.parseGroup,
    deaths,
    problems,
    ask: (group) => thread.ask({ kind: 'parse', sources: group }),
    take(group, reply) {
      for (const [index, source] of group.entries()) {
        const found = reply.problems[index] ?? [];
        problems.push(...found);
        if (found.length > 0) continue;
        // Once more on this side: that is several times faster than getting the tree from there, and the same
        // text makes the same tree.
        const { policy } = parsePolicy(source, source);
        if (policy) parsed.set(source.id, policy);
      }
    },
  });
  return { parsed, isComplete };
}

function linkAll(
  links: readonly TemplateLink[],
  {
    parsed,
    sources,
    problems,
  }: {
    readonly parsed: ReadonlyMap<string, PolicyAst>;
    readonly sources: readonly ThreadSource[];
    readonly problems: CedarProblem[];
  },
): ReadonlyMap<string, LinkedPolicy> {
  const templates = new Set(sources.flatMap(({ id, isTemplate }) => (isTemplate ? [id] : [])));
  const linked = new Map<string, LinkedPolicy>();
  for (const link of links) {
    const template = templates.has(link.template) ? parsed.get(link.template) : undefined;
    // A template that is there and did not parse was told of already.
    if (!template && templates.has(link.template)) continue;
    const found = template
      ? linkTemplate(template, link)
      : { refusal: `found no template '${link.template}', expected one of that id` };
    if ('refusal' in found) {
      problems.push({
        code: 'ERR_CEDAR_POLICY_INVALID',
        policy: link.id,
        severity: 'error',
        message: found.refusal,
      });
    } else {
      linked.set(link.id, found);
    }
  }
  return linked;
}

async function validateAll(
  sources: readonly ThreadSource[],
  {
    links,
    schema,
    thread,
    problems,
    deaths,
  }: Call & { readonly links: readonly TemplateLink[]; readonly schema: string },
): Promise<void> {
  const isComplete = await askInGroups(sources, {
    sizeMax: LIMITS.validationGroup,
    deaths,
    problems,
    ask: (group) => thread.ask({ kind: 'validate', schema, sources: group, links: [] }),
    take: (_group, reply) => problems.push(...reply.problems),
  });
  if (!isComplete) return;
  const byId = new Map(sources.map((source) => [source.id, source]));
  await askInGroups(links, {
    sizeMax: LIMITS.validationGroup,
    deaths,
    problems,
    ask(group) {
      const templates = new Set(group.map(({ template }) => byId.get(template)));
      return thread.ask({
        kind: 'validate',
        schema,
        sources: [...templates].filter((template) => template !== undefined),
        links: group,
      });
    },
    take(group, reply) {
      // What is wrong with their templates was told above.
      const ids = new Set(group.map(({ id }) => id));
      problems.push(...reply.problems.filter(({ policy = '' }) => ids.has(policy)));
    },
  });
}

/** A schema as text, in either syntax. */
function readSchema(schema: SchemaSource): string | undefined | CedarProblem {
  if (typeof schema !== 'object') return schema;
  try {
    // Nothing comes of an object whose `toJSON` gives nothing; it must not pass for no schema.
    return JSON.stringify(schema) ?? noJson('it has no text');
  } catch (cause) {
    return noJson(cause instanceof Error ? cause.message : String(cause));
  }
}

function noJson(problem: string): CedarProblem {
  return {
    code: 'ERR_CEDAR_SCHEMA_INVALID',
    severity: 'error',
    message: `found an object that is no JSON: ${problem}`,
  };
}

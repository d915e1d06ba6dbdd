import type { CedarEngine, PolicySource, TemplateLink } from '@countersign/cedar';
import type { FoundProblem } from './found-problem.ts';
import { linksIn } from './links-in.ts';
import { placeOf } from './place.ts';
import type { PolicyFiles } from './policy-files.ts';
import type { TextFile } from './text-file.ts';

/** Where a policy, template or link comes from. */
export interface Origin {
  readonly file: TextFile;
  /** Where its text starts in the file; a link has none. */
  readonly start?: number;
  /** A link's template, in whose text its offsets count. */
  readonly template?: string;
  readonly kind: 'policy' | 'template' | 'link';
  /** `@id`, the place among all policies, or the links file. */
  readonly idFrom: 'annotation' | 'position' | 'link';
}

/** What an engine loads, and where each part of it comes from. */
export interface PolicySources {
  readonly policies: readonly PolicySource[];
  readonly templates: readonly PolicySource[];
  readonly links: readonly TemplateLink[];
  /** By id. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** What is wrong before anything is parsed. */
  readonly problems: readonly FoundProblem[];
}

/**
 * Cuts files into policies and templates. A policy is called by its `@id`; without one, `policy0`, `policy1`, …
 * by its place, counted through all files, as the official command line counts in its one.
 */
export async function policySources(
  files: PolicyFiles,
  engine: CedarEngine,
): Promise<PolicySources> {
  const policies: PolicySource[] = [];
  const templates: PolicySource[] = [];
  const links: TemplateLink[] = [];
  const origins = new Map<string, Origin>();
  const problems: FoundProblem[] = [];
  const claim = (id: string, origin: Origin): boolean => {
    const other = origins.get(id);
    if (!other) origins.set(id, origin);
    else problems.push(takenTwice(id, { origin, other }));
    return !other;
  };
  let position = 0;
  for (const file of files.policies) {
    const split = await engine.split(file.text, { ids: 'position' });
    problems.push(...split.problems.map(({ policy: _, ...problem }) => ({ ...problem, file })));
    if (split.policies.length === 0 && split.problems.length === 0) problems.push(emptyFile(file));
    for (const { text, start, isTemplate } of split.policies) {
      const own = await annotatedId(text, engine);
      const id = own ?? `policy${position}`;
      position += 1;
      const kind = isTemplate ? 'template' : 'policy';
      const idFrom = own === undefined ? 'position' : 'annotation';
      if (!claim(id, { file, start, kind, idFrom })) continue;
      (isTemplate ? templates : policies).push({ id, text });
    }
  }
  for (const file of files.links) {
    const read = linksIn(file);
    problems.push(...read.problems);
    for (const link of read.links) {
      if (claim(link.id, { file, kind: 'link', idFrom: 'link', template: link.template })) {
        links.push(link);
      }
    }
  }
  const linked = new Set(links.map(({ template }) => template));
  for (const { id } of templates) {
    const origin = origins.get(id);
    if (origin && !linked.has(id)) problems.push(unlinked(id, origin));
  }
  return { policies, templates, links, origins, problems };
}

/** The value of `@id`, if the policy has one; what is wrong with it is told where all of the policy is parsed. */
async function annotatedId(text: string, engine: CedarEngine): Promise<string | undefined> {
  const { policies } = await engine.split(text, { ids: 'annotation' });
  return policies[0]?.id;
}

/** Most often its links are in a file that was not named. */
function unlinked(id: string, { file, start }: Origin): FoundProblem {
  return {
    code: 'ERR_CEDAR_POLICY_INVALID',
    severity: 'warning',
    message: `found no link of the template '${id}', which decides nothing without one`,
    file,
    ...(start !== undefined && { start }),
  };
}

/** Most often a file that was meant for another place, or cut off. */
function emptyFile(file: TextFile): FoundProblem {
  return {
    code: 'ERR_CEDAR_POLICY_INVALID',
    severity: 'warning',
    message: 'found no policy, expected one or more',
    file,
  };
}

function takenTwice(
  id: string,
  { origin, other }: { origin: Origin; other: Origin },
): FoundProblem {
  const { file, start } = other;
  const name = origin.kind === 'link' ? 'link id' : '@id';
  const place = start === undefined ? file.name : `${file.name}:${placeOf(file, start).line}`;
  return {
    code: 'ERR_CEDAR_POLICY_INVALID',
    severity: 'error',
    message: `found the id '${id}' twice, expected every id once`,
    help: `the other one is in ${place}; give one of them another ${name}`,
    file: origin.file,
    ...(origin.start !== undefined && { start: origin.start }),
  };
}

/** A problem that the engine found in a text of its own, in the file where that text is. */
export function inItsFile(
  problem: FoundProblem,
  { sources, schema }: { readonly sources: PolicySources; readonly schema: TextFile | undefined },
): FoundProblem {
  const { policy, start, end } = problem;
  if (policy === undefined) {
    // Of the schema, or of all policies together: only the former has a place.
    return schema && problem.code === 'ERR_CEDAR_SCHEMA_INVALID'
      ? { ...problem, file: schema }
      : problem;
  }
  const origin = sources.origins.get(policy);
  if (!origin) return problem;
  const text = origin.template === undefined ? origin : sources.origins.get(origin.template);
  if (text?.start === undefined || (origin.template !== undefined && start === undefined)) {
    return { ...problem, file: origin.file };
  }
  return {
    ...problem,
    file: text.file,
    start: text.start + (start ?? 0),
    ...(end !== undefined && { end: text.start + end }),
  };
}

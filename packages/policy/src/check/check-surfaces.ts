import { dirname } from 'node:path';
import type { Operation, Surface } from '@countersign/model';
import type { z } from 'zod';
import { checkShape } from '../document/check-shape.ts';
import { quote } from '../document/describe.ts';
import { API_BYTES_MAX, inside } from '../document/read-text.ts';
import type { SourceDocument } from '../document/source-document.ts';
import { pascalCase } from '../openapi/entity-type.ts';
import { readApiDescription } from '../openapi/read-api-description.ts';
import { readPathList } from '../openapi/read-path-list.ts';
import { isMapping } from '../openapi/resolve-reference.ts';
import { surfaceShape } from '../shape/surface-shape.ts';
import { checkPersons } from './check-persons.ts';
import type { RepositoryFiles } from './list-repository.ts';
import { type CheckContext, createNameRegister, readSource } from './repository-source.ts';

/** A surface with what only the repository knows of it. */
export interface CheckedSurface {
  readonly surface: Surface;
  readonly basePath: string;
  readonly document: SourceDocument;
}

/** All surfaces of a repository. */
export interface CheckedSurfaces {
  readonly surfaces: readonly CheckedSurface[];
  /** Names of all surfaces, those included whose file has faults. */
  readonly names: ReadonlySet<string>;
  /** False when a fault may hide operations: what policies say of them cannot be judged then. */
  readonly isWhole: boolean;
}

/** Reads `surfaces/*.yaml` and the API descriptions that they name. */
export async function checkSurfaces(
  files: RepositoryFiles,
  context: CheckContext,
): Promise<CheckedSurfaces> {
  const surfaces: CheckedSurface[] = [];
  const names = new Set<string>();
  const described = new Set<string>();
  const nameRegister = createNameRegister('surface', context.report);
  const namespaceRegister = createNameRegister('namespace', context.report);
  let isWhole = true;
  for (const file of files.surfaces) {
    const document = await readSource(file, context, { bytesMax: API_BYTES_MAX });
    if (document && isApiDescription(document.value)) continue;
    const shape = document && checkShape(document, surfaceShape, context);
    const raw = isMapping(document?.value) ? document.value : {};
    if (typeof raw['name'] === 'string') names.add(raw['name']);
    // What a faulty surface names is not left over, either.
    const named = shape?.openapi ?? raw['openapi'];
    const api = typeof named === 'string' ? inside(dirname(file), named) : undefined;
    if (api !== undefined) described.add(api);
    if (!document || !shape) {
      isWhole = false;
      continue;
    }
    const namespace = pascalCase(shape.name);
    const isNew =
      nameRegister.take(shape.name, document.at(['name'])) &&
      namespaceRegister.take(namespace, document.at(['name']));
    const operations = await readOperations({ document, shape, namespace, api }, context);
    if (!operations || !isNew) isWhole = false;
    if (operations) checkPersons(shape, operations, { document, report: context.report });
    if (isNew)
      surfaces.push({
        surface: surfaceOf(shape, namespace, operations ?? []),
        basePath: shape.basePath,
        document,
      });
  }
  for (const file of files.apiDescriptions) {
    if (described.has(file)) continue;
    context.report.warn(
      { file },
      {
        found: 'an API description that no surface names',
        expected: "a surface with 'openapi' naming it",
        mend: 'add a surface for it, or remove it',
      },
    );
  }
  return { surfaces, names, isWhole };
}

type SurfaceShape = z.output<typeof surfaceShape>;

function isApiDescription(value: unknown): boolean {
  return isMapping(value) && isMapping(value['paths']) && isMapping(value['info']);
}

/** Nothing when some of the operations may be missing. */
async function readOperations(
  surface: {
    readonly document: SourceDocument;
    readonly shape: SurfaceShape;
    readonly namespace: string;
    readonly api: string | undefined;
  },
  context: CheckContext,
): Promise<readonly Operation[] | undefined> {
  const { document, shape, namespace, api } = surface;
  const { report } = context;
  const from = document.at(['openapi']);
  if ((shape.openapi === undefined) === (shape.paths === undefined)) {
    report.error(document.at(['name']), {
      found: shape.paths ? "'openapi' and 'paths'" : "neither 'openapi' nor 'paths'",
      expected: 'one of the two, which says what operations it has',
      mend: shape.paths ? 'remove one' : "add 'openapi: <name>.openapi.yaml'",
    });
    return undefined;
  }
  if (shape.paths) {
    const before = report.errorCount;
    const operations = readPathList(shape.paths, { document, namespace, report });
    return report.errorCount === before ? operations : undefined;
  }
  if (api === undefined) {
    report.error(from, {
      found: quote(shape.openapi ?? ''),
      expected: 'a path inside the repository, from the folder of this file',
      mend: 'put the description beside the surface',
    });
    return undefined;
  }
  const description = await readSource(api, context, { bytesMax: API_BYTES_MAX, from });
  if (!description) return undefined;
  const before = report.errorCount;
  const operations = readApiDescription(description, { namespace, report });
  if (operations.length === 0 && report.errorCount === before) {
    report.error(description.at(['paths']), {
      found: 'no operation',
      expected: 'at least one operation to protect',
      mend: 'describe the operations of the API',
    });
  }
  return report.errorCount === before ? operations : undefined;
}

function surfaceOf(
  shape: SurfaceShape,
  namespace: string,
  operations: readonly Operation[],
): Surface {
  const { unix, http } = shape.upstream;
  return {
    name: shape.name,
    namespace,
    title: shape.title,
    owner: shape.owner,
    criticality: shape.criticality,
    regulations: shape.regulations,
    dataClasses: shape.dataClasses,
    persons: (shape.persons ?? []).map((type) => `${namespace}::${type}`),
    mode: shape.mode,
    upstream: http ? { kind: 'http', ...http } : { kind: 'unix', path: unix ?? '' },
    audience: shape.audience,
    factsMaxAgeSeconds: shape.factsMaxAge,
    evidenceLevel: shape.evidenceLevel,
    ...(shape.retention !== undefined && { retention: shape.retention }),
    identityHeaders: shape.identityHeaders,
    operations,
  };
}

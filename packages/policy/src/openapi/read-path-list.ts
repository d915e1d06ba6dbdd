import type { Operation, OperationParameter } from '@countersign/model';
import { quote } from '../document/describe.ts';
import type { Report } from '../document/report.ts';
import type { SourceDocument } from '../document/source-document.ts';
import { reportAmbiguities } from './ambiguity.ts';
import { entityTypeOf } from './entity-type.ts';
import { type PathTemplate, parsePathTemplate } from './path-template.ts';
import {
  ACTION_GROUPS,
  type FoundOperation,
  METHODS,
  OPERATION_ID,
  OPERATIONS_MAX,
  reportDuplicateIds,
  SAFE_METHODS,
} from './read-api-description.ts';

/** What ends a path that stands for all below it. */
const REST = '/**';

/** Each path with its methods, and what policies call them. */
export type PathList = Readonly<
  Record<string, Readonly<Partial<Record<(typeof METHODS)[number], string>>>>
>;

/**
 * Reads the operations of a surface that has no API description: a list of paths. One may end in `/**`, which matches all that
 * is below, the folder's own `/` included, where nothing more exact does: segment by segment from the left, plain text counts
 * before a parameter, and a parameter before `**`.
 */
export function readPathList(
  paths: PathList,
  options: {
    readonly document: SourceDocument;
    readonly namespace: string;
    readonly report: Report;
  },
): readonly Operation[] {
  const { document, report } = options;
  const found = Object.keys(paths).flatMap((text) => readPath(text, paths[text] ?? {}, options));
  reportDuplicateIds(document, found, report);
  // One that is exact and one that ends in /** never mean the same: how they are ordered is said above.
  const isRest = ({ operation }: FoundOperation) => operation.path.endsWith(REST);
  reportAmbiguities(
    document,
    found.filter((each) => !isRest(each)),
    report,
  );
  reportAmbiguities(document, found.filter(isRest), report);
  return found.slice(0, OPERATIONS_MAX).map(({ operation }) => operation);
}

function readPath(
  text: string,
  methods: PathList[string],
  options: {
    readonly document: SourceDocument;
    readonly namespace: string;
    readonly report: Report;
  },
): FoundOperation[] {
  const { document, report } = options;
  const isRest = text.endsWith(REST);
  const exact = isRest ? text.slice(0, -REST.length) : text;
  const template: PathTemplate | string =
    isRest && exact === '' ? { text, segments: [] } : parsePathTemplate(exact);
  if (typeof template === 'string' || exact.includes('*')) {
    report.error(document.atKey(['paths', text]), {
      found: `path ${quote(text)}`,
      expected: typeof template === 'string' ? template : "no '*' but in /** at its end",
      mend: 'correct the path; a parameter is a whole segment, and ** is the last one',
    });
    return [];
  }
  const parameters: OperationParameter[] = [];
  for (const segment of template.segments) {
    if (segment.kind !== 'parameter') continue;
    const entityType = entityTypeOf(segment.name, { template, namespace: options.namespace });
    if (entityType !== undefined) parameters.push({ name: segment.name, entityType });
    else {
      report.error(document.atKey(['paths', text]), {
        found: `path parameter ${quote(segment.name)}`,
        expected: 'a name that an entity type can be made of',
        mend: 'name it after what it names: {TicketId}',
      });
    }
  }
  return METHODS.flatMap((method): FoundOperation[] => {
    const id = methods[method];
    const path = ['paths', text, method];
    if (id === undefined) return [];
    if (!OPERATION_ID.test(id) || (ACTION_GROUPS as readonly string[]).includes(id)) {
      report.error(document.at(path), {
        found: quote(id),
        expected: `a name other than ${ACTION_GROUPS.join(' and ')}: policies call the operation by it`,
        mend: 'name it after what it does: ReadTicket',
      });
      return [];
    }
    const isStateChanging = !SAFE_METHODS.includes(method);
    const operation = { id, method: method.toUpperCase(), path: text, parameters };
    return [
      {
        operation: { ...operation, scopes: [], isStateChanging },
        template,
        values: new Map(),
        path,
      },
    ];
  });
}

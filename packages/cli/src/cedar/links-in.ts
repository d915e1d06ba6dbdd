import { readLinks, type TemplateLink } from '@countersign/cedar';
import type { FoundProblem } from './found-problem.ts';
import { readJson } from './json.ts';
import type { TextFile } from './text-file.ts';

/**
 * Reads a file of template links, in the form of the official command line (`template_id`, `link_id`, `args`) or
 * of cedar-wasm (`templateId`, `newId`, `values`). An empty file has none.
 */
export function linksIn(file: TextFile): {
  readonly links: readonly TemplateLink[];
  readonly problems: readonly FoundProblem[];
} {
  if (file.text.trim() === '') return { links: [], problems: [] };
  const { value, fault } = readJson(file.text);
  if (fault) return { links: [], problems: [invalid(file, fault)] };
  try {
    return { links: readLinks(value), problems: [] };
  } catch (error) {
    return { links: [], problems: [invalid(file, { message: (error as Error).message })] };
  }
}

function invalid(
  file: TextFile,
  { message, start }: { readonly message: string; readonly start?: number },
): FoundProblem {
  return {
    code: 'ERR_CEDAR_POLICY_INVALID',
    severity: 'error',
    message,
    help: 'links are [{"template_id": "…", "link_id": "…", "args": {"?principal": "User::\\"alice\\""}}]',
    file,
    ...(start !== undefined && { start }),
  };
}

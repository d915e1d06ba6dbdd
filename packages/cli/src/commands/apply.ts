import type { Problem } from '@countersign/policy';
import { AdminRefusal } from '../admin-client.ts';
import type { Applied } from '../authority/operator-routes.ts';
import { problemText } from '../check/problem-text.ts';
import type { Command } from '../command-line/command.ts';
import { EXIT } from '../command-line/command.ts';
import { authorityOf, print, shared } from './options.ts';

/** `countersign apply` */
export const applyCommand: Command = {
  name: 'apply',
  summary: 'make a running authority publish the repository as it is now',
  description:
    'The authority checks its repository again. With errors nothing changes and they are listed; without, it\nsigns a new bundle when the content differs, and every point takes it within moments.',
  options: {
    data: shared.data,
    json: shared.json,
    again: {
      type: 'boolean',
      help: 'publish also what is in force already: after a restore, until points take it',
    },
  },
  async run(args, io) {
    const path = `/v1/apply${args.flag('again') ? '?again=true' : ''}`;
    let result: Applied;
    try {
      result = await authorityOf(args, io).call<Applied>('POST', path);
    } catch (error) {
      const problems = problemsOf(error);
      if (!problems) throw error;
      print(
        io,
        args,
        { published: false, problems },
        [...problems.map(problemText), 'nothing was published'].join('\n'),
      );
      return EXIT.negative;
    }
    print(
      io,
      args,
      result,
      [
        `${result.published ? 'published' : 'policy unchanged'}: sequence ${result.sequence}, version ${result.version}`,
        // A new subject or reader changes no bundle: without a word on it, nothing seems to have been done.
        ...(result.published
          ? []
          : [
              'identities, partners, readers, sign-in and retention are in force as the repository has them',
            ]),
        ...(result.restart.length > 0
          ? [
              `restart ${result.restart.join(', ')}: listeners, routes and the authority's settings are read at the start`,
            ]
          : []),
      ].join('\n'),
    );
    return EXIT.ok;
  },
};

/** What the checks of the repository found, when that is why the authority said no. */
export function problemsOf(error: unknown): readonly Problem[] | undefined {
  if (!(error instanceof AdminRefusal) || error.status !== 422) return undefined;
  return (error.body as { problems?: readonly Problem[] } | undefined)?.problems;
}

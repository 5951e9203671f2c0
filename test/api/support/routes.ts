/** Every route that an application has, hidden ones too, read off its own router. */
import type { FastifyInstance } from 'fastify';

export interface RouteOf {
  readonly method: string;
  /** In the router's notation, such as `/v1/hosts/:name`. */
  readonly route: string;
}

const LINE = /^((?:[│ ] {3})*)[├└]── (\S+) \(([A-Z, ]+)\)$/;

/** `printRoutes` draws a tree of path pieces: a child's path is its parents' pieces and its own. */
export function routesOf(app: FastifyInstance): RouteOf[] {
  const found: RouteOf[] = [];
  const pieces: string[] = [];
  for (const line of app.printRoutes({ commonPrefix: false }).trimEnd().split('\n')) {
    const [, indent = '', piece = '', methods = ''] = LINE.exec(line) ?? [];
    if (piece === '') throw new Error(`a line of the router's tree cannot be read: ${line}`);
    pieces.splice(indent.length / 4, Infinity, piece);
    const route = pieces.join('').replace('//', '/');
    for (const method of methods.split(', ')) found.push({ method, route });
  }
  return found;
}

/** A request that gets as far as the handler's own checks, and no further than an answer at once. */
export function pathTo(route: string): string {
  const path = route.replace('/v1/rollouts/:id', '/v1/rollouts/edge@beef').replace(/:\w+/g, 'edge');
  if (route === '/v1/events/stream') return `${path}?after=nonsense`;
  return route === '/v1/agent/dispatch' ? `${path}?wait=0` : path;
}

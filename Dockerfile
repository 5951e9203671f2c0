# muster, without its development dependencies. Runs as an ordinary user, writes nothing to its disk, needs no shell.
#
#   docker build --tag muster .
#
# BASE is any image with Node 20.19 or newer and npm; RUNTIME needs `node` on its PATH, and no npm or shell. Distroless
# images have it elsewhere (/nodejs/bin), and do not start.
ARG BASE=node:24-slim
ARG RUNTIME=node:24-slim

FROM ${BASE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY web ./web
COPY scripts/build-web.mjs ./scripts/build-web.mjs
RUN npm run build && npm ci --omit=dev

FROM ${RUNTIME}
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="muster" \
      org.opencontainers.image.description="Control plane for pull-only, signed fleet rollouts on PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY migrations ./migrations
COPY docker/healthcheck.mjs ./docker/healthcheck.mjs
COPY LICENSE ./
# node's own number, so that Kubernetes can see that it is not root.
USER 1000:1000
# The process's own default, loopback, would be the container's, where nobody comes.
ENV MUSTER_LISTEN_HOST=0.0.0.0
EXPOSE 8080
# Node as PID 1 gets SIGTERM itself, and muster stops in order.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=4s --start-period=10s --retries=3 CMD ["node", "docker/healthcheck.mjs"]
ENTRYPOINT ["node", "dist/cli/muster.js"]
CMD ["serve"]

"""From a build that passed its gate to what people read: releases, manifests, rollback."""

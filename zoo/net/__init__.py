"""From a place where an asset can be had to the asset's exact bytes here."""

"""Demo data: 清禾, a maker of household appliances, its people, channels and conversations."""
